// Measures the nanoseconds of one observation in a histogram with three labels and 14 buckets. The child is bound
// before.
import { createRequire } from 'node:module'
import prom from 'prom-client'
import io from '@prometheus-io/client'
import platformatic from '@platformatic/prom-client'
import { Histogram } from 'fastify-prometheus'
import { interleave, median, row } from './measure.js'

const OBSERVATIONS = 200_000
const LABELS = ['GET', '/walks/:id', '200']
const buckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
const values = Float64Array.from({ length: 1024 }, (_, i) => (i * 7919 % 1024) / 1024 * 0.4)

export async function observation ({ rounds = 25 } = {}) {
  const config = { name: 'h', help: 'h', labelNames: ['method', 'route', 'status_code'], buckets }
  const labelled = { method: LABELS[0], route: LABELS[1], status_code: LABELS[2] }
  const variants = {}
  for (const [name, Type, Registry] of [['ours', Histogram, prom.Registry], ['prom-client', prom.Histogram, prom.Registry], ['@prometheus-io/client', io.Histogram, io.Registry], ['@platformatic/prom-client', platformatic.Histogram, platformatic.Registry]]) {
    const family = new Type({ ...config, registers: [new Registry()] })
    const child = family.labels(...LABELS)
    variants[`${name} bound`] = () => time((value) => child.observe(value))
    variants[`${name} labels`] = () => time((value) => family.observe(labelled, value))
  }
  for (const [name, given] of [['classic and native', {}], ['native alone', { buckets: [] }]]) {
    const child = new Histogram({ ...config, ...given, native: {}, registers: [new prom.Registry()] }).labels(...LABELS)
    variants[name] = () => time((value) => child.observe(value))
  }
  const otel = openTelemetry()
  if (otel !== undefined) variants.OpenTelemetry = () => time((value) => otel.record(value, labelled))
  const costs = await interleave(variants, { rounds })
  const ns = (name) => median(costs[name])
  const ratio = ns('ours bound') / ns('prom-client bound')
  return [
    row('one histogram observation, bound child', `${ns('ours bound').toFixed(0)} ns, prom-client ${ns('prom-client bound').toFixed(0)} ns: 1/${(1 / ratio).toFixed(0)}`, 'at most 1/8', ratio <= 1 / 8),
    ...['@prometheus-io/client', '@platformatic/prom-client'].map((name) => row(`... ${name}`, `${ns(`${name} bound`).toFixed(0)} ns`, '', true)),
    ...otel === undefined ? [] : [row('... OpenTelemetry', `${ns('OpenTelemetry').toFixed(0)} ns`, '', true)],
    ...['classic and native', 'native alone'].map((name) => row(`... with ${name} buckets`, `${ns(name).toFixed(0)} ns, classic ${ns('ours bound').toFixed(0)} ns: ${(ns(name) / ns('ours bound')).toFixed(2)} times`, 'at most twice', ns(name) <= 2 * ns('ours bound'))),
    row('one observation by a labels object', `${ns('ours labels').toFixed(0)} ns, prom-client ${ns('prom-client labels').toFixed(0)} ns`, 'less', ns('ours labels') < ns('prom-client labels'))
  ]
}

function time (observe) {
  const start = process.hrtime.bigint()
  for (let i = 0; i < OBSERVATIONS; i++) observe(values[i & 1023])
  return Number(process.hrtime.bigint() - start) / OBSERVATIONS
}

/** OpenTelemetry's histogram; undefined if its SDK is not installed. */
function openTelemetry () {
  const require = createRequire(import.meta.url)
  try {
    const { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics')
    // Without a reader the meter would record nothing.
    const reader = new PeriodicExportingMetricReader({ exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE), exportIntervalMillis: 3_600_000 })
    return new MeterProvider({ readers: [reader] }).getMeter('bench').createHistogram('h', { advice: { explicitBucketBoundaries: buckets } })
  } catch {
    return undefined
  }
}
