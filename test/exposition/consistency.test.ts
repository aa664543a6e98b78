import { Counter as ForeignCounter, Registry } from 'prom-client'
import t from 'tap'
import { Exposition } from '../../src/exposition/index.js'
import { Counter, Gauge, Histogram } from '../../src/index.js'
import type { RegistryLike } from '../../src/metrics/index.js'
import { Parsers } from '../support/parsers.js'

const parsers = await Parsers.start(t)

/** The lines of pages without their comments, and what was said of failures. */
async function linesOf (registries: RegistryLike | RegistryLike[], format: 'text' | 'openmetrics' = 'text') {
  const failed: Array<[string, string]> = []
  const observer = { failed: (name: string, error: unknown) => { failed.push([name, (error as Error).message]) }, counted: () => {}, ended: () => {}, refused: () => {} }
  const exposition = new Exposition(registries, { maxScrapes: 10, created: false }, observer)
  const page = String(await exposition.scrape({ format, compression: undefined, names: undefined, timeout: undefined }).whole())
  await parsers?.read(format, page)
  return { lines: page.split('\n').filter((line) => line !== '' && !line.startsWith('#')), page, failed }
}

/** A registry with metrics of the foreign shape. */
function foreign (...metrics: Array<{ name: string, type?: string, help?: unknown, values: unknown }>): Registry {
  const registry = new Registry()
  for (const { name, ...state } of metrics) registry.registerMetric({ name, get: () => state } as never)
  return registry
}

t.test('of series that a scraper takes for one the first stays: by an empty label, and by a default label', async (t) => {
  for (const Maker of [Counter, ForeignCounter] as Array<typeof Counter>) {
    const registry = new Registry()
    const counter = new Maker({ name: 'c_total', help: 'h', labelNames: ['a', 'pod'], registers: [registry] })
    counter.inc({ a: 'x' }, 1)
    counter.inc({ a: 'x', pod: 'p' }, 2)
    counter.inc({ a: '', pod: 'q' }, 3)
    counter.inc({ pod: 'q' }, 4)
    counter.inc({ a: 'y' }, 5)
    let { lines, failed } = await linesOf(registry)
    t.equal(lines.length, 4)
    t.match(failed, [['c_total', /^1 of its series are left out, for an earlier one has the same labels/]])
    registry.setDefaultLabels({ pod: 'p' });
    ({ lines, failed } = await linesOf(registry))
    t.same(lines.map((line) => line.split(' ')[1]), [1, 3, 5])
    t.match(failed, [['c_total', /^2 of its series/]])
    counter.remove({ a: '', pod: 'q' });
    ({ lines, failed } = await linesOf(registry))
    t.equal(lines.length, 3, 'without an empty label, too')
    t.match(failed, [['c_total', /^1 of its series/]])
  }
})

t.test('default labels: what none may have is left out, and said', async (t) => {
  const registry = new Registry()
  new Histogram({ name: 'h', help: 'h', buckets: [1], registers: [registry] }).observe(1)
  new Gauge({ name: 'g', help: 'h', registers: [registry] }).set(1)
  registry.setDefaultLabels({ le: '5', quantile: '0.5', __name__: 'x', 'a b': 'c', symbol: Symbol('s'), broken: { toString () { throw new Error('no text') } }, pod: 'p' })
  const { lines, failed } = await linesOf(registry)
  t.equal(lines[0], 'h_bucket{quantile="0.5",symbol="Symbol(s)",pod="p",le="1.0"} 1')
  t.equal(lines.at(-1), 'g{le="5",quantile="0.5",symbol="Symbol(s)",pod="p"} 1')
  t.same(failed.map(([name]) => name), ['default labels', 'default labels', 'default labels', 'default labels'])
  t.match(failed.map(([, message]) => message).join('\n'), /'__name__' is no[^]*'a b' is no[^]*no text[^]*'le' is left out of each histogram/)
})

t.test('of metrics whose lines have one name the first stays', async (t) => {
  const cases: Array<[names: string[], left: string[]]> = [
    [['h foo', 'g foo_count'], ['foo_count']], [['h foo', 'g foo_sum'], ['foo_sum']], [['h foo', 'g foo_bucket'], ['foo_bucket']], [['h foo', 'g foo_created'], ['foo_created']],
    [['g foo_count', 'h foo'], ['foo']], [['h foo', 'h foo_count'], ['foo_count']], [['h foo', 'c foo_count'], ['foo_count']],
    [['c foo', 'c foo_total'], []], [['g foo', 'c foo_total'], []], [['c foo_total', 'g foo'], []], [['g foo_created', 'c foo_total'], []], [['c foo_total', 'c foo_created_total'], []],
    [['c foo_total', 'c foo_total_total'], []], [['h foo', 'c foo_bucket_total'], []], [['c foo_bucket_total', 'h foo'], []], [['h foo', 'c foo_total'], []]
  ]
  for (const [names, left] of cases) {
    const registry = new Registry()
    for (const each of names) {
      const [kind, name = ''] = each.split(' ')
      const config = { name, help: 'h', registers: [registry] }
      if (kind === 'h') new Histogram({ ...config, buckets: [] }).observe(1)
      else if (kind === 'c') new Counter(config).inc()
      else new Gauge(config).set(1)
    }
    const text = await linesOf(registry)
    const openMetrics = await linesOf(registry, 'openmetrics')
    t.same(text.failed.map(([name]) => name), left, names.join(' and '))
    t.same(openMetrics.lines, text.lines, 'the same lines in OpenMetrics')
  }
})

t.test('a metric with a name or a label that would cost the page is left out', async (t) => {
  const registry = new Registry()
  new Gauge({ name: 'reserved', help: 'h', labelNames: ['__name__'], registers: [registry] }).set({ __name__: 'x' }, 1)
  const renamed = new Gauge({ name: 'renamed', help: 'h', registers: [registry] })
  renamed.name = 'a b'
  const doubled = new Gauge({ name: 'doubled', help: 'h', labelNames: ['a'], registers: [registry] })
  ;(doubled.labelNames as string[]).push('a')
  new Gauge({ name: 'last', help: 'h', labelNames: ['__own'], registers: [registry] }).set({ __own: 'x' }, 1)
  const held = registry as unknown as { _metrics: Record<string, unknown> }
  held._metrics.nothing = null
  held._metrics.unnamed = { get name () { throw new Error('no name') } }
  held._metrics.no_text = { name: Object.create(null) }
  const { lines, failed } = await linesOf(registry)
  t.same(lines, ['last{__own="x"} 1'])
  t.same(failed.map(([name]) => name).sort(), ['a b', 'doubled', 'reserved', 'undefined', 'without a name', 'without a name'])
})

t.test('foreign metrics: what cannot be is left out, series by series', async (t) => {
  const bucket = (le: unknown, value: unknown, labels = {}) => ({ labels: { le, ...labels }, value, metricName: 'h_bucket' })
  const histograms: Array<[string, unknown[]]> = [
    ['decreasing', [bucket(1, 5), bucket(2, 4), bucket('+Inf', 6)]], ['above its last', [bucket(1, 5), bucket('+Inf', 4)]], ['above its count', [bucket(1, 5), { value: 4, metricName: 'h_count' }]],
    ['negative', [bucket(1, -1), bucket('+Inf', 1)]], ['no number', [bucket(1, NaN), bucket('+Inf', 1)]], ['infinite', [bucket(1, Infinity), bucket('+Inf', Infinity)]]
  ]
  for (const [what, values] of histograms) {
    const { lines, failed } = await linesOf(foreign({ name: 'h', type: 'histogram', values: [...values, bucket('+Inf', 1, { good: 'yes' })] }), 'openmetrics')
    t.ok(lines.length > 0 && lines.every((line) => line.includes('good="yes"')), what)
    t.match(failed, [['h', /^1 of its series are left out, for their counts are none of a histogram/]])
  }
  const again = await linesOf(foreign({ name: 'h', type: 'histogram', values: [bucket(1, 1), bucket('1.0', 2), bucket('+Inf', 3), { value: 4, metricName: 'h_sum' }, { value: 5, metricName: 'h_sum' }] }))
  t.same(again.lines, ['h_bucket{le="1.0"} 1', 'h_bucket{le="+Inf"} 3', 'h_sum 4', 'h_count 3'])
  t.match(again.failed, [['h', /^some of its lines are left out/]])
  const simple = await linesOf(foreign({ name: 'g', type: 'gauge', values: [{ value: 1, labels: { a: 1 } }, { value: 2, labels: { a: 2 } }, { value: 3, labels: { a: '1' } }] }), 'openmetrics')
  t.same(simple.lines, ['g{a="1"} 1', 'g{a="2"} 2'])
  t.match(simple.failed, [['g', /^1 of its series are left out/]])
  for (const value of [NaN, -1]) {
    const { page, failed } = await linesOf(foreign({ name: 'c_total', type: 'counter', values: [{ value }] }), 'openmetrics')
    t.match(page, `# TYPE c_total unknown\n# HELP c_total \nc_total ${value}\n`, 'what is no counter is shown as what it is')
    t.same(failed, [])
  }
})

t.test('OpenMetrics: series keep their names where it forbids what they say', async (t) => {
  const summary = (value: number, sum: number, count: number, quantile = 0.5) => foreign({
    name: 's', type: 'summary', help: 'h', values: [{ value, labels: { quantile } }, { value: sum, metricName: 's_sum' }, { value: count, metricName: 's_count' }]
  })
  for (const registry of [summary(-1, 1, 1), summary(1, -1, 1), summary(1, NaN, 1), summary(1, 1, 1, 7)]) {
    const { lines, page } = await linesOf(registry, 'openmetrics')
    t.same(lines, (await linesOf(registry)).lines)
    t.match(page, /# TYPE s unknown\n[^]*# TYPE s_sum unknown\n[^]*# TYPE s_count unknown\n/)
  }
  t.match((await linesOf(summary(1, 1, 1), 'openmetrics')).page, '# TYPE s summary\n')
  const averaged = foreign({ name: 'h', type: 'histogram', values: [{ value: 1.4, labels: { le: 1 } }, { value: 2.5, labels: { le: '+Inf' } }] }, { name: 's', type: 'summary', values: [{ value: 1.5, metricName: 's_count' }] })
  t.same((await linesOf(averaged, 'openmetrics')).lines, ['h_bucket{le="1.0"} 1', 'h_bucket{le="+Inf"} 3', 'h_sum 0', 'h_count 3', 's_sum 0', 's_count 2'], 'whole counts')
  t.match((await linesOf(averaged)).lines, ['h_bucket{le="1.0"} 1.4', 'h_bucket{le="+Inf"} 2.5'])
  const registry = new Registry()
  const histogram = new Histogram({ name: 'h', help: 'h', labelNames: ['a'], buckets: [1], registers: [registry] })
  histogram.observe({ a: 'below' }, -5)
  histogram.observe({ a: 'above' }, 5)
  const below = await linesOf(registry, 'openmetrics')
  t.same(below.lines.sort(), (await linesOf(registry)).lines.sort(), 'a sum below zero is no counter')
  t.match(below.page, /# TYPE h_bucket unknown\n[^]*# TYPE h_sum unknown\n[^]*# TYPE h_count unknown\n/)
  histogram.remove({ a: 'below' })
  t.match((await linesOf(registry, 'openmetrics')).page, '# TYPE h histogram\n')
})

t.test('exemplars that a format cannot have cost themselves', async (t) => {
  const registry = new Registry()
  const counter = new Counter({ name: 'c_total', help: 'h', labelNames: ['i'], registers: [registry], enableExemplars: true })
  const throwing = { toString: () => 'x' } as unknown as string
  const labelSets = [{ trace_id: 'good' }, { 'a b': 'c' }, { a: '{}' }, { smile: '😀'.repeat(100) }, { smile: '😀'.repeat(124) }, { a: throwing }, {}]
  for (const [i, exemplarLabels] of labelSets.entries()) {
    try {
      counter.inc({ labels: { i }, exemplarLabels })
    } catch {
      counter.inc({ labels: { i } })
    }
  }
  throwing.toString = () => { throw new Error('of the test') }
  const { lines } = await linesOf(registry, 'openmetrics')
  t.same(lines.map((line) => line.includes(' # {')), [true, false, false, false, false, false, true])
})

t.test('several registries on one page', async (t) => {
  const [a, b] = [new Registry(), new Registry()]
  a.setDefaultLabels({ zone: 'a' })
  b.setDefaultLabels({ zone: 'b' })
  const config = { help: 'h', labelNames: ['x'] }
  for (const registry of [a, b]) {
    new Counter({ ...config, name: 'both_total', registers: [registry] }).inc({ x: '1' })
    new Histogram({ ...config, name: 'both_seconds', buckets: [1], registers: [registry] }).observe({ x: '1' }, 1)
  }
  new ForeignCounter({ name: 'theirs_total', help: 'h', registers: [a] }).inc(1)
  new Counter({ name: 'theirs_total', help: 'h', registers: [b] }).inc(2)
  const shared = new Counter({ name: 'shared_total', help: 'h', registers: [a, b] })
  shared.inc(3)
  new Gauge({ name: 'only_b', help: 'h', registers: [b] }).set(4)
  for (const format of ['text', 'openmetrics'] as const) {
    const { lines, failed } = await linesOf([a, b], format)
    t.same(failed, [])
    t.same(lines.filter((line) => !line.startsWith('both_seconds')), [
      'both_total{x="1",zone="a"} 1', 'both_total{x="1",zone="b"} 1', 'theirs_total{zone="a"} 1', 'theirs_total{zone="b"} 2', 'shared_total{zone="a"} 3', 'only_b{zone="b"} 4'
    ])
    t.equal(lines.filter((line) => line.startsWith('both_seconds_count')).length, 2)
  }

  const [c, d] = [new Registry(), new Registry()]
  new Counter({ ...config, name: 'collides_total', registers: [c] }).inc({ x: '1' }, 5)
  const late = new Counter({ ...config, name: 'collides_total', registers: [d] })
  late.inc({ x: '2' }, 6)
  new Gauge({ name: 'kind', help: 'h', registers: [c] }).set(1)
  new Counter({ name: 'kind', help: 'h', registers: [d] }).inc(2)
  new Gauge({ ...config, name: 'words', registers: [c] }).set({ x: '1' }, 1)
  new Gauge({ ...config, name: 'words', help: 'other', registers: [d] }).set({ x: '2' }, 2)
  new Histogram({ ...config, name: 'bounds', buckets: [1], registers: [c] }).observe({ x: '1' }, 1)
  new Histogram({ ...config, name: 'bounds', buckets: [2], registers: [d] }).observe({ x: '2' }, 1)
  new Gauge({ name: 'bounds_count', help: 'h', registers: [d] }).set(1)
  const before = await linesOf([c, d])
  t.same(before.lines.filter((line) => !line.startsWith('bounds')), ['collides_total{x="1"} 5', 'collides_total{x="2"} 6', 'kind 1', 'words{x="1"} 1'])
  t.same(before.failed.map(([name]) => name), ['kind', 'words', 'bounds', 'bounds_count'])
  late.inc({ x: '1' }, 7)
  const after = await linesOf([c, d])
  t.same(after.lines.slice(0, 1), ['collides_total{x="1"} 5'])
  t.match(after.failed[0], ['collides_total', /^an earlier metric of this name has a series of the same labels: it is left out/])
})
