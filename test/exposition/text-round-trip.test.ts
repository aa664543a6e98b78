import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { Counter, Gauge, Histogram, LabelPair, type Exemplar, type FamilySnapshot, type MetricType } from '../../src/metrics/index.js'
import { encoded, wellFormed } from '../support/encoded.js'
import { missing, Parsers, type ParsedFamily, type ParsedSample } from '../support/parsers.js'
import { familyOf } from '../support/snapshots.js'

const parsers = await Parsers.start(t)
const skip = parsers === undefined && missing

type Format = 'text' | 'openmetrics'

/** What a metric is made from, and what is expected of its page. */
interface Model {
  name: string
  type: MetricType
  /** Of ours, or written down as a snapshot. */
  ours: boolean
  unit: string
  help: string
  labelNames: string[]
  bounds: number[]
  series: ModelSeries[]
}

interface ModelSeries {
  labels: string[]
  value: number
  /** Of a histogram. */
  observations: number[]
  quantiles: Array<{ quantile: number, value: number }>
  count: number
  created: number | undefined
  exemplar: Exemplar | undefined
}

/** Each bucket's own count. */
function countsOf (bounds: number[], observations: number[]): number[] {
  return [...bounds, Infinity].map((bound, i) => observations.filter((value) => value <= bound && !(value <= (bounds[i - 1] ?? -Infinity))).length)
}

function sumOf (numbers: number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}

function snapshotOf (model: Model): FamilySnapshot {
  if (model.ours && (model.type === 'counter' || model.type === 'gauge' || model.type === 'histogram')) return oursOf(model).snapshot()
  const { name, type, help, bounds, labelNames } = model
  return familyOf(type, model.series.map((series) => ({
    labels: labelNames.map((name, i) => new LabelPair(name, series.labels[i] ?? '')),
    created: series.created,
    value: type === 'histogram' ? sumOf(series.observations) : series.value,
    exemplar: series.exemplar,
    // Somewhere in the middle of a page of numbers.
    buckets: type === 'histogram'
      ? { counts: Uint32Array.of(9, ...countsOf(bounds, series.observations), 9), at: 1, exemplars: bounds.map(() => undefined).concat([series.exemplar as undefined]), native: undefined }
      : undefined,
    quantiles: type === 'summary' ? { quantiles: series.quantiles, count: series.count } : undefined
  })), { name, help, bounds })
}

function oursOf ({ name, type, help, labelNames, bounds, series }: Model) {
  const config = { name, help, labelNames, registers: [] }
  if (type === 'counter') {
    const counter = new Counter(config)
    for (const { labels, value } of series) counter.labels(...labels).inc(value)
    return counter
  }
  if (type === 'gauge') {
    const gauge = new Gauge(config)
    for (const { labels, value } of series) gauge.labels(...labels).set(value)
    return gauge
  }
  const histogram = new Histogram({ ...config, buckets: bounds })
  for (const { labels, observations } of series) {
    histogram.zero(Object.fromEntries(labelNames.map((name, i) => [name, labels[i]])))
    for (const value of observations) histogram.labels(...labels).observe(value)
  }
  return histogram
}

/** What a parser has to find. */
function expectedOf (model: Model, snapshot: FamilySnapshot, format: Format, taken: ReadonlySet<string>): ParsedFamily {
  const base = model.name.replace(/_total$/, '')
  const counts = model.type === 'counter' && (format === 'text' || (base !== model.name && !taken.has(base)))
  const type = model.type === 'counter' && !counts ? 'unknown' : model.type
  const negative = format === 'openmetrics' && (model.bounds[0] ?? 0) < 0
  const samples: ParsedSample[] = []
  for (const [i, series] of [...snapshot.series()].entries()) {
    const { labels, value, observations, quantiles, count, exemplar } = model.series[i] as ModelSeries
    const own = Object.fromEntries(model.labelNames.map((name, i) => [name, wellFormed(labels[i] ?? '')]))
    const add = (suffix: string, value: number, more: Record<string, number> = {}, exemplar?: Exemplar): void => {
      samples.push({
        name: model.name + suffix,
        labels: { ...own, ...Object.fromEntries(Object.entries(more).map(([name, number]) => [name, String(number)])) },
        value: value + 0,
        exemplar: exemplar && { labels: Object.fromEntries(Object.entries(exemplar.labelSet).map(([name, value]) => [name, wellFormed(String(value))])), value: exemplar.value, timestamp: exemplar.timestamp }
      })
    }
    const shown = format === 'openmetrics' && type !== 'unknown' && !model.ours ? exemplar : undefined
    if (model.type === 'histogram') {
      for (const bound of [...model.bounds, Infinity]) add('_bucket', observations.filter((value) => value <= bound).length, { le: bound }, bound === Infinity ? shown : undefined)
      if (!negative) {
        add('_sum', sumOf(observations))
        add('_count', observations.length)
      }
    } else if (model.type === 'summary') {
      for (const { quantile, value } of quantiles) add('', value, { quantile })
      add('_sum', value)
      add('_count', count)
    } else add('', value, {}, model.type === 'counter' ? shown : undefined)
    if (format === 'openmetrics' && series.created !== undefined && type !== 'unknown') {
      samples.push({ name: `${counts ? base : model.name}_created`, labels: own, value: series.created, exemplar: undefined })
    }
  }
  return { name: counts ? base : model.name, type, unit: format === 'openmetrics' && (base === model.name || counts) ? model.unit : '', help: wellFormed(model.help), samples }
}

/** With bounds and quantiles as numbers: how they are written is another test. */
function numbered (families: ParsedFamily[]): ParsedFamily[] {
  return families.map((family) => ({
    ...family,
    samples: family.samples.map((sample) => {
      const labels = { ...sample.labels }
      for (const name of ['le', 'quantile']) {
        if (Object.hasOwn(labels, name)) labels[name] = String(Number(labels[name]?.replace('Inf', 'Infinity')))
      }
      return { ...sample, labels }
    })
  }))
}

const HOSTILE = fc.string({
  maxLength: 12,
  unit: fc.constantFrom('"', '\\', '\n', '\r', '\t', '\0', '\x1b', '\x7f', '\x85', '\u2028', '{', '}', ',', '=', '#', ' # ', ' ', '👋', '\ud800', '\udc00', '\ufeff', '\ufffd', 'é', 'n', 'a', '_')
})
// The parser of the text format strips the ends of a help text.
const HELP = HOSTILE.map((text) => `Of ${text}.`)
const VALUE = fc.oneof(fc.constantFrom(NaN, Infinity, -Infinity, -0, 0, 1, 1e21, 123456789012345680000, 5e-324, 1.7976931348623157e308, 2 ** 53, 2 ** 31 - 1, 2 ** 31, 2 ** 32, -1, 0.1), fc.double(), fc.integer())
const NEVER_NEGATIVE = VALUE.map((value) => Number.isNaN(value) ? 0 : Math.abs(value))
const OBSERVATION = fc.oneof(fc.double({ min: 0, max: 1e300, noNaN: true }), fc.constantFrom(0, 0.1, 1, 1e6, 1048576, 5e-324))
const BOUND = fc.oneof(fc.constantFrom(0, 1, 0.1, 1e-10, 1048576, 1e6, 123456, 1234567, 1e21, 5e-324, 0.0001, 0.00001, -0.5), fc.double({ noNaN: true, noDefaultInfinity: true }))
const UNITS = { '': '', '_seconds': 'seconds', '_bytes': 'bytes', '_ratio': 'ratio', '_celsius': 'celsius', '_milliseconds': '', '_state': '' } as const
// This parser takes a brace in an exemplar's label for the end of its labels.
const EXEMPLAR = fc.record({
  labelSet: fc.oneof(fc.constant({}), HOSTILE.map((text): Record<string, string> => ({ trace_id: text.replaceAll('}', ''), span: '7' }))),
  value: OBSERVATION,
  timestamp: fc.integer({ min: 0, max: 2e12 }).map((milliseconds) => milliseconds / 1000)
})

const MODELS = fc.array(fc.record({
  type: fc.constantFrom<MetricType>('counter', 'gauge', 'histogram', 'summary', 'unknown'),
  ours: fc.boolean(),
  total: fc.boolean(),
  twin: fc.integer({ min: 0, max: 3 }).map((number) => number === 0),
  unit: fc.constantFrom(...Object.keys(UNITS) as Array<keyof typeof UNITS>),
  help: HELP,
  labelNames: fc.constantFrom<string[]>([], ['a'], ['a', 'path'], ['_x', 'B1', 'c']),
  bounds: fc.uniqueArray(BOUND, { maxLength: 6, selector: (bound) => bound + 0 }).map((bounds) => bounds.sort((a, b) => a - b)),
  series: fc.array(fc.record({
    labels: fc.array(HOSTILE, { minLength: 3, maxLength: 3 }),
    any: VALUE,
    value: NEVER_NEGATIVE,
    observations: fc.array(OBSERVATION, { maxLength: 8 }),
    quantiles: fc.uniqueArray(fc.record({ quantile: fc.double({ min: 0, max: 1, noNaN: true }), value: NEVER_NEGATIVE }), { maxLength: 3, selector: ({ quantile }) => quantile + 0 }),
    count: fc.integer({ min: 0, max: 2 ** 53 }),
    created: fc.option(fc.integer({ min: 0, max: 2e12 }).map((milliseconds) => milliseconds / 1000), { nil: undefined }),
    exemplar: fc.option(EXEMPLAR, { nil: undefined })
  }), { minLength: 1, maxLength: 4 })
}), { maxLength: 5 }).map((shapes) => shapes.flatMap(({ type, ours, total, twin, unit, help, labelNames, bounds, series }, i): Model[] => {
  const own = new Map(series.map((one) => [JSON.stringify(labelNames.map((_, i) => wellFormed(one.labels[i] ?? ''))), one]))
  const model: Model = {
    name: `m${i}${unit}${type === 'counter' && total ? '_total' : ''}`,
    type,
    ours,
    unit: UNITS[unit],
    help,
    labelNames,
    bounds: type === 'histogram' ? bounds : [],
    series: [...own.values()].map(({ any, value, ...rest }) => ({
      ...rest,
      labels: rest.labels.slice(0, labelNames.length),
      value: type === 'gauge' || type === 'unknown' ? any : ours && !Number.isFinite(value) ? 1 : value,
      created: type === 'counter' || type === 'histogram' || type === 'summary' ? rest.created : undefined
    }))
  }
  // A metric that has the name a counter would have in OpenMetrics.
  const other: Model = { ...model, name: `m${i}${unit}`, type: 'gauge', ours: false, series: model.series.map((one) => ({ ...one, created: undefined })), bounds: [] }
  return type === 'counter' && total && twin ? [model, other] : [model]
}))

t.test('independent parsers read what went in, and the same series in both formats', { skip }, async (t) => {
  await fc.assert(fc.asyncProperty(MODELS, async (models) => {
    const snapshots = models.map(snapshotOf)
    const taken = new Set(models.map(({ name }) => name))
    const series: unknown[] = []
    for (const format of ['text', 'openmetrics'] as const) {
      const families = (await parsers?.read(format, encoded(snapshots, format))) ?? []
      assert.deepStrictEqual(numbered(families), models.map((model, i) => expectedOf(model, snapshots[i] as FamilySnapshot, format, taken)))
      const negative = new Set(models.filter(({ bounds }) => (bounds[0] ?? 0) < 0).flatMap(({ name }) => [`${name}_sum`, `${name}_count`]))
      series.push(families.flatMap(({ samples }) => samples.filter(({ name }) => !name.endsWith('_created') && !negative.has(name)).map(({ name, labels }) => [name, labels])))
    }
    assert.deepStrictEqual(series[0], series[1])
    // That it is there once and last, the parser sees to.
    assert.ok(encoded(snapshots, 'openmetrics').toString().endsWith('# EOF\n'))
  }))
})
