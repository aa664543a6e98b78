// Measures the milliseconds to encode 8,000 histogram series of 15 buckets. Ours encodes a snapshot; protobufjs encodes
// message objects that were made before.
import { fileURLToPath } from 'node:url'
import protobufjs from 'protobufjs'
import { Registry } from 'prom-client'
import { Histogram } from 'fastify-prometheus'
import { encodeProtobuf } from '../dist/src/exposition/protobuf.js'
import { interleave, median, row } from './measure.js'

const SERIES = 8000
const buckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

export async function protobuf ({ rounds = 25 } = {}) {
  const root = await protobufjs.load(fileURLToPath(new URL('../test/support/metrics.proto', import.meta.url)))
  const MetricFamily = root.lookupType('io.prometheus.client.MetricFamily')
  const histogram = new Histogram({ name: 'http_request_duration_seconds', help: 'h', labelNames: ['method', 'route', 'status_code'], buckets, registers: [new Registry()] })
  for (let i = 0; i < SERIES; i++) {
    const child = histogram.labels('GET', `/api/v1/things/${i % 2000}/details`, String(200 + Math.floor(i / 2000)))
    for (let k = 0; k < 8; k++) child.observe((i * 31 + k * 379) % 3000 / 1000)
  }
  const family = histogram.snapshot()
  const bytes = (chunks) => [...chunks].reduce((sum, chunk) => sum + chunk.length, 0)
  const ours = () => bytes(encodeProtobuf([family]))
  const message = MetricFamily.decodeDelimited(Buffer.concat([...encodeProtobuf([family])]))
  const theirs = () => MetricFamily.encodeDelimited(message).finish().length
  if (ours() !== theirs()) throw new Error(`ours is ${ours()} bytes, protobufjs' ${theirs()}: they do not encode the same`)
  const costs = await interleave({ ours: () => time(ours), protobufjs: () => time(theirs) }, { rounds, warmup: 10 })
  const ratio = median(costs.protobufjs) / median(costs.ours)
  return [row('encoding 8,000 histograms as protobuf', `${median(costs.ours).toFixed(1)} ms, protobufjs ${median(costs.protobufjs).toFixed(1)} ms: 1/${ratio.toFixed(1)}`, 'less than half', ratio > 2)]
}

function time (encode) {
  const start = process.hrtime.bigint()
  encode()
  return Number(process.hrtime.bigint() - start) / 1e6
}
