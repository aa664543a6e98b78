import fc from 'fast-check'
import * as renamed from '@prometheus-io/client'
import * as prom from 'prom-client'
import t from 'tap'
import { inspect } from 'node:util'
import { Counter, Gauge, Histogram, type Exemplar, type MetricValue, type RegistryLike } from '../../src/metrics/index.js'
import { pageOf, stateOf } from './page.js'

/*
 * Ours against prom-client's, call by call. Where they differ, and mean to:
 * - counter.inc(NaN) is refused: prom-client's counter would be NaN for ever.
 * - histogram.observe(NaN) says that NaN was wrong; prom-client says undefined.
 * - counter.labels({ unknown }) and histogram.zero({ unknown }) are refused at the call: prom-client refuses the first at the
 *   later inc() and prints the second.
 * - A label whose value is undefined is left out; prom-client prints "undefined".
 * - Label sets whose values hold prom-client's own separators (',' and ':') stay apart.
 * - enableExemplars works on text registries, which leave the exemplars out; children and plain numbers work with it too.
 * - Buckets that do not grow are refused.
 * - Labels stand in the order of labelNames; what is no string, number, boolean or null is shown as its string.
 * - The exemplar of counter.inc({ value: 0, exemplarLabels }) has the value 0: prom-client's has 1.
 */

/** A metric of either library, called as JavaScript calls it. */
type Metric = Record<string, (...args: unknown[]) => Metric> & { get (): Promise<{ values: unknown[] }> }
type Kind = 'Counter' | 'Gauge' | 'Histogram'
type Operation =
  | { do: 'call', method: string, args: unknown[] }
  | { do: 'write once', labels: unknown[], method: string, args: unknown[] }
  | { do: 'keep a child', child: number, labels: unknown[] }
  | { do: 'write to a child', child: number, method: string, args: unknown[] }
  | { do: 'read' }

const WRITES = { Counter: ['inc'], Gauge: ['inc', 'dec', 'set'], Histogram: ['observe'] }
const OURS = { Counter, Gauge, Histogram }

class Side {
  readonly registry: RegistryLike
  readonly metric: Metric
  readonly #children: Array<Metric | undefined> = []

  constructor (library: Record<Kind, unknown>, kind: Kind, config: object, registry: RegistryLike = new prom.Registry()) {
    this.registry = registry
    const Type = library[kind] as new (config: object) => Metric
    this.metric = new Type({ name: 'subject', help: 'Of the test.', registers: [this.registry], buckets: [0.1, 1, 10], ...config })
  }

  /** Does it, and says what was thrown. */
  run (operation: Operation): string {
    try {
      if (operation.do === 'call') this.#method(this.metric, operation.method)(...operation.args)
      if (operation.do === 'write once') this.#method(this.#method(this.metric, 'labels')(...operation.labels), operation.method)(...operation.args)
      if (operation.do === 'keep a child') this.#children[operation.child] = this.#method(this.metric, 'labels')(...operation.labels)
      const child = operation.do === 'write to a child' ? this.#children[operation.child] : undefined
      if (operation.do === 'write to a child' && child !== undefined) this.#method(child, operation.method)(...operation.args)
      return 'nothing thrown'
    } catch (error) {
      return String(error)
    }
  }

  #method (of: Metric, name: string): (...args: unknown[]) => Metric {
    return (of[name] as (...args: unknown[]) => Metric).bind(of)
  }
}

function openMetrics (): RegistryLike {
  const registry = new prom.Registry<prom.OpenMetricsContentType>()
  registry.setContentType(prom.openMetricsContentType)
  return registry
}

const number = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, -0, 1, 2.5, 10, 0.1, -1, -0.5, 5e-324, 1e-300, 1e308, -1e308, Number.MAX_SAFE_INTEGER) },
  { weight: 2, arbitrary: fc.double({ noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(undefined, null, '5', Infinity, -Infinity) }
)
/** Few, so that operations meet; with what is escaped, empty, or equal as a string only. */
const labelValue = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('x', 'y', '', '200', 200, 1.5, 0, 'a"b', 'a\\b', 'a\nb', '}', 'ü', '__proto__', '__overflow__') },
  { weight: 1, arbitrary: fc.string().filter((text) => !text.includes(',') && text !== 'undefined') }
)

function labelsOf (names: string[]): fc.Arbitrary<object> {
  const known = Object.fromEntries(names.map((name) => [name, fc.oneof({ weight: 8, arbitrary: labelValue }, { weight: 1, arbitrary: fc.constant(undefined) })]))
  return fc.record(known, { requiredKeys: [] })
}

function operations (kind: Kind, names: string[]): fc.Arbitrary<Operation[]> {
  const known = labelsOf(names)
  const labels = fc.oneof({ weight: 9, arbitrary: known }, { weight: 1, arbitrary: known.map((some) => ({ ...some, unknown: 'x' })) })
  const values = fc.oneof({ weight: 9, arbitrary: fc.tuple(...names.map(() => labelValue)) }, { weight: 1, arbitrary: fc.array(labelValue, { maxLength: 4 }) })
  const selector = fc.oneof(labels.map((some) => [some]), values)
  const keepable = kind === 'Counter' ? fc.oneof(known.map((some) => [some]), values) : selector
  const value = kind === 'Counter' ? number : fc.oneof({ weight: 9, arbitrary: number }, { weight: 1, arbitrary: fc.constant(NaN) })
  const alone = fc.oneof(fc.tuple(number), fc.tuple(fc.constantFrom(undefined, null), value))
  const write = fc.constantFrom(...WRITES[kind])
  const child = fc.nat(2)
  return fc.array(fc.oneof(
    { weight: 3, arbitrary: call(write, alone) },
    { weight: 6, arbitrary: call(write, fc.tuple(labels, value)) },
    { weight: 4, arbitrary: fc.tuple(selector, write, value).map(([labels, method, value]): Operation => ({ do: 'write once', labels, method, args: [value] })) },
    { weight: 3, arbitrary: fc.tuple(child, keepable).map(([child, labels]): Operation => ({ do: 'keep a child', child, labels })) },
    { weight: 6, arbitrary: fc.tuple(child, write, value).map(([child, method, value]): Operation => ({ do: 'write to a child', child, method, args: [value] })) },
    { weight: 3, arbitrary: call(fc.constant('remove'), selector) },
    { weight: 1, arbitrary: call(fc.constant('reset'), fc.constant([])) },
    { weight: kind === 'Histogram' ? 2 : 0, arbitrary: call(fc.constant('zero'), fc.tuple(known)) },
    { weight: 1, arbitrary: fc.constant<Operation>({ do: 'read' }) }
  ), { maxLength: 40, size: 'max' })
}

function call (method: fc.Arbitrary<string>, args: fc.Arbitrary<unknown[]>): fc.Arbitrary<Operation> {
  return fc.tuple(method, args).map(([method, args]) => ({ do: 'call', method, args }))
}

/** Does the same to both, comparing what was thrown at each step, and what the registries say at each read and at the end. */
async function compare (ours: Side, theirs: Side, operations: Operation[]): Promise<void> {
  for (const operation of [...operations, { do: 'read' } as const]) {
    same(ours.run(operation), theirs.run(operation))
    if (operation.do !== 'read') continue
    same(await pageOf(ours.registry), await pageOf(theirs.registry))
    same(await stateOf(ours.registry), await stateOf(theirs.registry))
  }
}

function same (ours: string, theirs: string): void {
  if (ours !== theirs) throw new Error(`ours:\n${ours}\n\nprom-client:\n${theirs}`)
}

for (const kind of ['Counter', 'Gauge', 'Histogram'] as const) {
  t.test(`a ${kind} does what prom-client's does, whatever is called on it`, async (t) => {
    const run = fc.constantFrom<string[]>([], ['a'], ['b', 'a'], ['a', 'b', 'c']).chain((names) => fc.tuple(fc.constant(names), operations(kind, names)))
    await fc.assert(fc.asyncProperty(run, ([labelNames, operations]) =>
      compare(new Side(OURS, kind, { labelNames }), new Side(prom, kind, { labelNames }), operations)), { numRuns: 400 })
    await fc.assert(fc.asyncProperty(run, ([labelNames, operations]) =>
      compare(new Side(OURS, kind, { labelNames }, new renamed.Registry()), new Side(prom, kind, { labelNames }, new renamed.Registry()), operations)), { numRuns: 100 })
    t.pass('in 400 random runs in its registry, and 100 in one of @prometheus-io/client')
  })
}

t.test('exemplars are those of prom-client in an OpenMetrics registry', async (t) => {
  const names = ['a', 'b']
  const exemplarLabels = fc.option(fc.record({ trace_id: fc.constantFrom('0af7', 'b"q'), span_id: fc.constantFrom('1', '2') }, { requiredKeys: [] }), { nil: undefined })
  const value = fc.constantFrom(0.05, 0.5, 1, 5, 50, 1e9)
  const write = fc.record({ labels: labelsOf(names), value, exemplarLabels }, { requiredKeys: ['value'] })
  for (const kind of ['Counter', 'Histogram'] as const) {
    const operation = fc.oneof(
      { weight: 8, arbitrary: call(fc.constant(kind === 'Counter' ? 'inc' : 'observe'), fc.tuple(write)) },
      { weight: 1, arbitrary: call(fc.constant('remove'), fc.tuple(labelsOf(names))) },
      { weight: 1, arbitrary: fc.constantFrom<Operation>({ do: 'call', method: 'reset', args: [] }, { do: 'read' }) }
    )
    const config = { name: 'subject_total', labelNames: names, enableExemplars: true }
    await fc.assert(fc.asyncProperty(fc.array(operation, { maxLength: 20, size: 'max' }), (operations) =>
      compare(new Side(OURS, kind, config, openMetrics()), new Side(prom, kind, config, openMetrics()), operations)), { numRuns: 150 })
  }
  t.pass('in 300 random runs')
})

t.test('a state has the keys of prom-client\'s, in their order and with their types', async (t) => {
  const stateOf = async (library: Record<Kind, unknown>, kind: Kind, labelNames: string[], enableExemplars: boolean, method: string): Promise<string> => {
    const { metric } = new Side(library, kind, { labelNames, enableExemplars }, openMetrics())
    const write = kind === 'Counter' ? 'inc' : kind === 'Gauge' ? 'set' : 'observe'
    // Booleans and null are not declared, and JavaScript passes them.
    for (const [i, value] of ['200', 200, 1.5, '', true, 'true', null, 'null'].entries()) {
      const labels = Object.fromEntries(labelNames.map((name) => [name, value]))
      const exemplarLabels = i % 2 === 0 ? { trace_id: 'abc', span: 5 } : undefined
      if (enableExemplars && kind !== 'Gauge') metric[write]?.({ labels, value: i + 1, exemplarLabels })
      else metric[write]?.(labels, i)
    }
    const state = await metric[method]?.()
    return inspect(state, { depth: null, maxArrayLength: null }).replace(/Exemplar \{/g, '{').replace(/timestamp: [\d.]+/g, 'timestamp')
  }
  for (const kind of ['Counter', 'Gauge', 'Histogram'] as const) {
    for (const labelNames of [[], ['a'], ['a', 'b']]) {
      for (const enableExemplars of [false, true]) {
        for (const method of kind === 'Histogram' ? ['get', 'getForPromString'] : ['get']) {
          const [ours, theirs] = [await stateOf(OURS, kind, labelNames, enableExemplars, method), await stateOf(prom, kind, labelNames, enableExemplars, method)]
          t.equal(ours, theirs, `${kind}.${method}() with labels ${labelNames.join()}${enableExemplars ? ' and exemplars' : ''}`)
        }
      }
    }
  }
})

t.test('an exemplar is stamped with the time, and refused when its labels are too long, the value being counted already', async (t) => {
  const registry = openMetrics()
  const counter = new Counter({ name: 'subject_total', help: 'Of the test.', registers: [registry], enableExemplars: true })
  const before = Date.now() / 1000
  counter.inc({ value: 2, exemplarLabels: { trace_id: '0af7' } })
  const { exemplar } = (await counter.get()).values[0] as { exemplar: { timestamp: number } }
  t.ok(exemplar.timestamp >= before && exemplar.timestamp <= Date.now() / 1000)
  t.throws(() => counter.inc({ exemplarLabels: { trace_id: 'x'.repeat(121) } }), new RangeError('Label set size must be smaller than 128 UTF-8 chars'))
  t.match(await registry.metrics(), /^subject_total 3 # \{trace_id="0af7"\} 2 \d+/m)
})

t.test('a constructor refuses what prom-client refuses, in its words', async (t) => {
  const wrong: Array<[Kind, unknown]> = [
    ['Counter', undefined],
    ['Counter', 'name'],
    ['Counter', { name: 'subject' }],
    ['Counter', { help: 'Help.' }],
    ['Gauge', { name: 'sub-ject', help: 'Help.' }],
    ['Gauge', { name: 'subject', help: 'Help.', labelNames: ['a', 'b-c'] }],
    ['Gauge', { name: 'subject', help: 'Help.', collect: 'soon' }],
    ['Histogram', { name: 'subject', help: 'Help.', labelNames: ['le'] }],
    ['Histogram', undefined]
  ]
  for (const [kind, config] of wrong) {
    const thrownBy = (library: Record<Kind, unknown>) => {
      try {
        const Type = library[kind] as new (config: unknown) => unknown
        return new Type(typeof config === 'object' ? { registers: [new prom.Registry()], ...config } : config)
      } catch (error) {
        return error as Error
      }
    }
    const [ours, theirs] = [thrownBy(OURS) as Error, thrownBy(prom) as Error]
    t.equal(ours.constructor, theirs.constructor, theirs.message)
    t.ok(ours.message.startsWith(theirs.message), `${ours.message} says ${theirs.message}`)
  }
  t.throws(() => new Counter({ name: 'subject', help: 'Help.', registers: [{} as prom.Registry] }), TypeError)
  t.throws(() => new Counter({ name: 'subject', help: 'Help.', maxSeries: 0 }), RangeError)
  t.throws(() => new Histogram({ name: 'subject', help: 'Help.', buckets: [1, 0.5] }), RangeError)
  t.throws(() => new Histogram({ name: 'subject', help: 'Help.', buckets: [1, NaN] }), RangeError)
})

t.test('what differs from prom-client differs as said', async (t) => {
  const registry = new prom.Registry()
  const counter = new Counter({ name: 'a_total', help: 'Of the test.', labelNames: ['a', 'b'], registers: [registry], enableExemplars: true })
  t.throws(() => counter.inc(NaN), new TypeError('Value is not a valid number: NaN'))
  t.throws(() => counter.labels({ unknown: 'x' } as never), /Added label "unknown"/)
  counter.inc({ labels: { a: ['o', 'p'] as never }, value: 0, exemplarLabels: { trace_id: '0' } })
  const { labels, exemplar } = (await counter.get()).values[0] as MetricValue & { exemplar: Exemplar }
  t.strictSame([labels, exemplar.value], [{ a: 'o,p' }, 0])
  counter.reset()
  counter.inc({ labels: { a: 'x,b:y' }, exemplarLabels: { trace_id: '1' } })
  counter.inc({ labels: { a: 'x', b: 'y' } })
  counter.inc({ labels: { a: undefined as never, b: 'y' } })
  counter.inc(5)
  counter.labels('x', 'z').inc(7)
  const histogram = new Histogram({ name: 'b_seconds', help: 'Of the test.', labelNames: ['a'], buckets: [], registers: [registry] })
  t.throws(() => histogram.observe(NaN), new TypeError('Value is not a valid number: NaN'))
  t.throws(() => histogram.zero({ unknown: 'x' } as never), /Added label "unknown"/)
  histogram.observe({ a: 'x' }, 3)
  const child = { a: 'x' }
  const kept = histogram.labels(child)
  child.a = 'changed later'
  kept.observe(4)
  t.equal(await registry.metrics(), `# HELP a_total Of the test.
# TYPE a_total counter
a_total{a="x,b:y"} 1
a_total{a="x",b="y"} 1
a_total{b="y"} 1
a_total 5
a_total{a="x",b="z"} 7

# HELP b_seconds Of the test.
# TYPE b_seconds histogram
b_seconds_bucket{le="+Inf",a="x"} 2
b_seconds_sum{a="x"} 7
b_seconds_count{a="x"} 2
`)
})

t.test('timers measure seconds and take labels that are known only at the end', async (t) => {
  const registry = new prom.Registry()
  const registers = [registry]
  const histogram = new Histogram({ name: 'h_seconds', help: 'Of the test.', labelNames: ['a', 'b'], registers })
  const gauge = new Gauge({ name: 'g_seconds', help: 'Of the test.', labelNames: ['a', 'b'], registers })
  const bare = new Gauge({ name: 'bare_seconds', help: 'Of the test.', registers })
  const exemplars = new Histogram({ name: 'e_seconds', help: 'Of the test.', labelNames: ['a', 'b'], enableExemplars: true, registers })
  const started = performance.now()
  const ends = [
    histogram.startTimer({ a: 'x' }), histogram.labels({ a: 'x' }).startTimer(),
    gauge.startTimer({ a: 'x' }), gauge.labels({ a: 'x' }).startTimer(),
    exemplars.startTimer({ a: 'x' }, { trace_id: '1' }), exemplars.labels({ a: 'x' }).startTimer()
  ]
  const last = performance.now()
  while (performance.now() - last < 2);
  const seconds = ends.map((end) => end({ b: 'y' }))
  const plain = bare.startTimer()()
  t.ok(seconds.every((value) => value >= 0.002 && value <= (performance.now() - started) / 1000), 'seconds, not milliseconds')
  for (const family of [histogram, exemplars]) {
    const { values } = await family.get()
    t.same(values.find(({ metricName }) => metricName === `${family.name}_count`), { metricName: `${family.name}_count`, labels: { a: 'x', b: 'y' }, value: 2 })
  }
  t.same((await gauge.get()).values, [{ labels: { a: 'x', b: 'y' }, value: seconds[3] }])
  t.same((await bare.get()).values, [{ labels: {}, value: plain }])
  t.throws(() => histogram.startTimer({ a: 'x' })({ unknown: 'y' } as never), /Added label "unknown"/)
  t.throws(() => histogram.labels({ a: 'x' }).startTimer()({ unknown: 'y' } as never), /Added label "unknown"/)

  histogram.reset()
  histogram.labels('x', 'y').startTimer()()
  t.equal((await histogram.get()).values.at(-1)?.value, 1, 'and none at the end')

  const before = Date.now() / 1000
  gauge.setToCurrentTime({ a: 'now' })
  bare.setToCurrentTime()
  const times = [...(await gauge.get()).values.slice(1), ...(await bare.get()).values].map(({ value }) => value)
  t.ok(times.length === 2 && times.every((value) => value >= before && value <= Date.now() / 1000))
})

t.test('collect is called at each read with the metric as this, and a promise is awaited', async (t) => {
  const registry = new prom.Registry()
  let reads = 0
  const gauge = new Gauge({ name: 'sync', help: 'Of the test.', registers: [registry], collect () { this.set(++reads) } })
  const counter = new Counter({ name: 'async_total', help: 'Of the test.', registers: [registry], async collect () { await null; this.inc() } })
  const histogram = new Histogram({ name: 'h', help: 'Of the test.', buckets: [1], registers: [registry], async collect () { await null; this.observe(1) } })
  const failing = new Gauge({ name: 'failing', help: 'Of the test.', registers: [], collect () { throw new Error('no value today') } })
  await registry.metrics()
  t.match(await registry.metrics(), /^sync 2$[^]*^async_total 2$[^]*^h_count 2$/m)
  t.equal((await gauge.get()).values[0]?.value, 3)
  t.equal((await counter.get()).values[0]?.value, 3)
  t.equal((await histogram.get()).values.at(-1)?.value, 3)
  await t.rejects(failing.get(), /no value today/)
})
