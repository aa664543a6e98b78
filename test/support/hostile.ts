import * as renamed from '@prometheus-io/client'
import fc from 'fast-check'
import * as prom from 'prom-client'
import { Counter, Gauge, Histogram } from '../../src/index.js'

/** One metric that somebody makes, and what is done with it: any step may throw, as it would in the application. */
export type Attempt = (registry: prom.Registry, prefix: string) => void

/** Two registries, and what is in them: each attempt goes into the one of its number. */
export interface Hostile {
  readonly attempts: ReadonlyArray<readonly [Attempt, number]>
  readonly defaults: ReadonlyArray<Record<string, unknown>>
}

/** They collide with each other once lines have their suffixes. */
const NAMES = ['foo', 'foo_total', 'foo_total_total', 'foo_count', 'foo_bucket', 'foo_sum', 'foo_created', 'foo_created_total', 'foo_seconds', 'foo_bucket_total', 'bar', 'bar_total']
const LABELS = ['x', 'y', 'x', 'pod', 'le', 'quantile', 'constructor', 'toString', '__proto__', 'hasOwnProperty', '__name__', '__foo', 'a b', 'é']
const VALUES: readonly unknown[] = [
  '', 'p', 'p', '\ud800', '\udfff', 'x\0y', '"\\\n}', ',x="', 'long'.repeat(3000), 0, -0, NaN, 1, '1', 1e21, null, undefined, true, 1n, Symbol('s'), ['p'], Object.create(null),
  { toString () { throw new Error('of the test') } }
]
const NUMBERS = [0, 1, 2, 3, -1, 0.5, -0.5, 1e308, -1e308, 2 ** 53, 1e21, NaN, Infinity, -Infinity]
const HELPS: readonly unknown[] = ['Of the test.', 'Of the test.', 'a\nb\\"c\0\r\ud800', ' ', 'h'.repeat(70_000), { a: 1 }, 7, true, Symbol('h'), Object.create(null), ['a']]

const name = fc.constantFrom(...NAMES)
const value = fc.constantFrom(...VALUES)
const number = fc.constantFrom(...NUMBERS)
const labelNames = fc.array(fc.constantFrom(...LABELS), { maxLength: 4 })
/** Own properties, whatever their names. */
const record = (names: readonly string[], values: fc.Arbitrary<unknown>) => fc.array(fc.tuple(fc.constantFrom(...names), values), { maxLength: 3 }).map((entries) => Object.fromEntries(entries))
const labels = record(LABELS, value)
const exemplar = record([...LABELS, 'trace_id'], value)

interface Config { name: string, help: unknown, labelNames: string[], buckets?: readonly number[], registers: prom.Registry[], enableExemplars?: boolean, native?: object }
interface Instrument { inc (labels: unknown, value?: unknown): void, set (labels: unknown, value?: unknown): void, observe (labels: unknown, value?: unknown): void, labels (...values: unknown[]): Instrument }
type Maker = new (config: Config) => Instrument

const libraries = [{ Counter, Gauge, Histogram, Summary: prom.Summary }, prom, renamed] as unknown as Array<Record<'Counter' | 'Gauge' | 'Histogram' | 'Summary', Maker>>

const instrument = fc.record({
  library: fc.constantFrom(0, 0, 1, 2),
  kind: fc.constantFrom('Counter' as const, 'Gauge' as const, 'Histogram' as const, 'Summary' as const),
  name,
  help: fc.constantFrom(...HELPS),
  labelNames,
  buckets: fc.constantFrom([1, 2], [1, 2], [-1, 0, 1], [0.1]),
  exemplars: fc.boolean(),
  native: fc.boolean(),
  writes: fc.array(fc.tuple(labels, number, exemplar, fc.array(value, { maxLength: 4 })), { maxLength: 5 })
}).map(({ library, kind, name, help, labelNames, buckets, exemplars, native, writes }): Attempt => (registry, prefix) => {
  const enableExemplars = exemplars && library === 0 && kind !== 'Gauge'
  const Maker = libraries[library]?.[kind] as Maker
  const metric = new Maker({ name: prefix + name, help, labelNames, registers: [registry], ...kind === 'Histogram' && { buckets }, ...enableExemplars && { enableExemplars }, ...native && library === 0 && kind === 'Histogram' && { native: {} } })
  const method = kind === 'Counter' ? 'inc' : kind === 'Gauge' ? 'set' : 'observe'
  for (const [labels, value, exemplarLabels, values] of writes) {
    attempt(() => enableExemplars ? metric[method]({ labels, value, exemplarLabels }) : metric[method](labels, value))
    attempt(() => metric.labels(...values)[method](value))
  }
})

const line = fc.record({
  value: fc.oneof(number, fc.constantFrom<unknown>('1.5', 'many', null, undefined, 3n, {})),
  labels: fc.oneof(labels, record(['x', 'le', 'quantile'], fc.constantFrom<unknown>('p', 1, '1', '1.0', 2, 0.5, '+Inf', Infinity, NaN, 'high', 7)), fc.constantFrom<unknown>(null, undefined, 'text')),
  sharedLabels: fc.option(labels, { nil: undefined }),
  metricName: fc.option(fc.oneof(name, fc.constantFrom('_sum', '_count', '_bucket', 'a b')), { nil: undefined }),
  exemplar: fc.option(fc.record({ labelSet: fc.oneof(exemplar, fc.constant(null)), value: fc.oneof(number, fc.constant('1')), timestamp: fc.oneof(number, fc.constant('1')) }), { nil: undefined })
})

const foreign = fc.record({
  name,
  type: fc.constantFrom<unknown>('counter', 'gauge', 'histogram', 'histogram', 'summary', 'summary', 'info', 7, undefined),
  help: fc.constantFrom(...HELPS),
  values: fc.oneof(fc.array(fc.oneof(line, line, fc.constant(null)), { maxLength: 8 }), fc.constantFrom<unknown>(null, 'text', {})),
  named: fc.boolean()
}).map(({ name, type, help, values, named }): Attempt => (registry, prefix) => {
  const whole = prefix + name
  const state = !Array.isArray(values)
    ? values
    : values.map((line: { metricName?: string } | null) => line?.metricName === undefined ? line : { ...line, metricName: (line.metricName.startsWith('_') ? whole : prefix) + line.metricName })
  const metric = { name: whole, get: () => ({ help, type, name: whole, values: state }) }
  // A registry that is not prom-client's may hold two of one name.
  if (named) registry.registerMetric(metric as never)
  else (registry as unknown as { _metrics: Record<string, unknown> })._metrics[`${name} ${Math.random()}`] = metric
})

/** What a registry may be given that it should never have been given. */
export const hostile: fc.Arbitrary<Hostile> = fc.record({
  attempts: fc.array(fc.tuple(fc.oneof({ weight: 3, arbitrary: instrument }, { weight: 2, arbitrary: foreign }), fc.constantFrom(0, 0, 1)), { minLength: 1, maxLength: 8 }),
  defaults: fc.tuple(fc.oneof(fc.constant({}), record(LABELS, value)), fc.oneof(fc.constant({}), record(LABELS, value)))
})

/** Does what may throw: that is the caller's own mistake, and none of the page. */
export function attempt (step: () => void): void {
  try {
    step()
  } catch {}
}

/** The registries that come of it. @param prefix before each metric's name */
export function registriesOf ({ attempts, defaults }: Hostile, prefix = ''): prom.Registry[] {
  const registries = defaults.map(() => new prom.Registry())
  for (const [i, registry] of registries.entries()) registry.setDefaultLabels(defaults[i] as object)
  for (const [metric, i] of attempts) attempt(() => metric(registries[i] as prom.Registry, prefix))
  return registries
}
