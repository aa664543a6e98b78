// Milliseconds of CPU that a sample of the dog-walking service's registry takes, and what it takes to tell viewers.
import process from 'node:process'
import { register } from 'prom-client'
import { buildApp } from '../../examples/dog-walking/dist/app.js'
import { connectDataSource, connectStatusPool, migrate } from '../../examples/dog-walking/dist/database.js'
import { seed } from '../../examples/dog-walking/dist/seed.js'
import { smoke } from '../../examples/dog-walking/dist/smoke.js'
import { Exposition } from '../../dist/src/exposition/index.js'
import { Live, Viewers } from '../../dist/src/live/index.js'

const SAMPLES = 300
const WARMUP = 100
const VIEW = { range: '5m', route: undefined }
const { user, password, host, port, database } = JSON.parse(process.argv[2])
const url = `postgres://${user}:${password}@${host}:${port}/${database}`

const dataSource = await connectDataSource(url)
await migrate(dataSource)
await seed(dataSource)
const app = await buildApp({ dataSource, statusPool: connectStatusPool(url) })
const address = await app.listen({ host: '127.0.0.1', port: 0 })
for (let i = 0; i < 20; i++) await smoke(address)

const pages = new Exposition(register, { maxScrapes: 1, created: false }, { counted () {}, failed () {}, ended () {}, refused () {} })
const live = new Live(pages, '', false)
const viewers = new Viewers(live)
const streams = []
const look = (count) => {
  while (streams.length < count) streams.push(viewers.add(VIEW))
}

async function measure () {
  const before = process.cpuUsage()
  for (let i = 0; i < SAMPLES; i++) {
    await live.sample()
    for (const stream of streams) stream.read()
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 / SAMPLES
}

for (let i = 0; i < WARMUP; i++) await live.sample()
const alone = await measure()
look(1)
const one = await measure()
look(10)
const ten = await measure()
const families = await pages.look({ collects: true, skips: () => false, waits () {}, failed () {}, counted () {} })
process.send({ alone, one, ten, series: families.reduce((sum, { size }) => sum + size, 0) }, () => process.exit())
