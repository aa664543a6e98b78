// The bytes that the history of a registry of 200 series takes: counters, gauges and histograms of the service's own.
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { Registry } from 'prom-client'
import { Counter, Gauge, Histogram } from 'fastify-prometheus'
import { Exposition } from '../../dist/src/exposition/index.js'
import { Live } from '../../dist/src/live/index.js'

const SAMPLES = 2000
/** Milliseconds. */
const INTERVAL = 2000
const METRICS = 10
const SERIES = 10

const registry = new Registry()
const registers = [registry]
const labelNames = ['dog']
const metrics = []
for (let i = 0; i < METRICS; i++) {
  const counter = new Counter({ name: `walks_${i}_total`, help: 'Walks.', labelNames, registers })
  const gauge = i % 2 === 0 ? new Gauge({ name: `dogs_${i}`, help: 'Dogs.', labelNames, registers }) : new Histogram({ name: `distance_${i}`, help: 'Metres.', labelNames, registers })
  metrics.push(() => {
    for (let dog = 0; dog < SERIES; dog++) {
      counter.inc({ dog })
      if (gauge instanceof Gauge) gauge.set({ dog }, dog)
      else gauge.observe({ dog }, dog)
    }
  })
}
const pages = new Exposition(registry, { maxScrapes: 1, created: false }, { counted () {}, failed () {}, ended () {}, refused () {} })
for (const change of metrics) change()
await pages.text()
const before = used()
// The samples are of more than an hour.
let now = performance.now()
performance.now = () => now
const live = new Live(pages, '', false)
for (let i = 0; i < SAMPLES; i++) {
  now += INTERVAL
  for (const change of metrics) change()
  await live.sample()
}
process.send(used() - before, () => {
  if (live.whole({ range: '5m', route: undefined }).charts.length === 0) throw new Error('kept alive to here')
  process.exit()
})

function used () {
  for (let i = 0; i < 3; i++) globalThis.gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
