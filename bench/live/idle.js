// The share of a core that a service takes in which nothing happens.
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { metricsPlugin } from 'fastify-prometheus'

const WARMUP = 20_000
const MILLISECONDS = 30_000
const ROUTES = 20

const app = Fastify()
app.register(metricsPlugin, { live: process.argv[2] === 'on', nativeHistograms: true })
for (let i = 0; i < ROUTES; i++) app.get(`/walks/${i}`, async () => 'ok')
await app.listen({ host: '127.0.0.1', port: 0 })
for (let i = 0; i < ROUTES; i++) await app.inject(`/walks/${i}`)
await sleep(WARMUP)
const before = process.cpuUsage()
await sleep(MILLISECONDS)
const { user, system } = process.cpuUsage(before)
process.send((user + system) / 1000 / MILLISECONDS, () => process.exit())
