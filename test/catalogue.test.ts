import { Registry } from 'prom-client'
import t from 'tap'
import { catalogue, metric, type Definition, type MetricName } from '../src/catalogue.js'
import { Counter, Gauge, Histogram, ObservableCounter, ObservableGauge } from '../src/metrics/index.js'
import { promtoolIsContent } from './support/promtool.js'

const names = Object.keys(catalogue) as MetricName[]
const definitions: Array<[MetricName, Definition]> = names.map((name) => [name, catalogue[name]])

/** Every label there is. Each takes its values from a set that does not grow with traffic; one more needs a reason why it does not. */
const LABELS = ['alias', 'backend', 'charset', 'code', 'commit', 'format', 'host', 'level', 'metric', 'method', 'model', 'operation', 'outcome', 'route', 'scheme', 'source', 'state', 'status_code', 'template', 'type', 'vendor', 'version']

t.test('every metric is named as Prometheus advises', async (t) => {
  for (const [name, { type, labels, help, buckets }] of definitions) {
    t.match(name, /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/)
    t.equal(name.endsWith('_total'), type.endsWith('counter'), `${name}: counters end in _total, and nothing else does`)
    t.notMatch(name, /_(bucket|sum|count|created)$/, 'no suffix of a part of a metric')
    t.notMatch(name, /(^|_)(ms|millis|milliseconds|microseconds|minutes|hours|kb|kilobytes|mb|megabytes|percent)(_|$)/, 'base units')
    t.match(help, /^[A-Z][^\n]*[^.\s]\.$/, `${name}: a sentence of help`)
    for (const unit of ['seconds', 'bytes']) t.equal(help.includes(`in ${unit}`), name.endsWith(`_${unit}`), `${name}: help and name agree on the unit`)
    t.ok(new Set(labels).size === labels.length && labels.length <= 3, `${name}: few labels`)
    t.same(labels.filter((label) => !LABELS.includes(label)), [], `${name}: only labels that are known to be bounded`)
    t.equal(buckets !== undefined, type === 'histogram')
    t.ok((buckets ?? []).every((bound, i, all) => i === 0 || bound > (all[i - 1] as number)), `${name}: buckets grow`)
  }
  const lines = definitions.flatMap(([name, { type }]) => type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name])
  t.equal(new Set(lines).size, lines.length, 'no two metrics share a line')
  t.same(LABELS.filter((label) => !definitions.some(([, { labels }]) => labels.includes(label))), [], 'every label is used')
  t.same(LABELS.filter((label) => /^__|^(le|quantile|job|instance)$/.test(label)), [], 'none is reserved')
})

t.test('a metric is the family its entry says, under the prefix, and is made once', async (t) => {
  const registry = new Registry()
  const scope = { registry, prefix: 'app_', maxSeries: 7 }
  const classes = { 'counter': Counter, 'observable counter': ObservableCounter, 'gauge': Gauge, 'observable gauge': ObservableGauge, 'histogram': Histogram }
  for (const [name, { type, labels, help, buckets, leastSeries }] of definitions) {
    const family = metric(name, scope)
    t.equal(family.constructor, classes[type], name)
    t.match(family, { name: `app_${name}`, help, maxSeries: leastSeries ?? 7, together: true })
    t.equal(leastSeries !== undefined, name.startsWith('metrics_') && labels.length > 0, `${name}: what is about metrics has room for all of them`)
    t.same(family.labelNames, labels)
    if (family instanceof Histogram) t.same(family.buckets, buckets)
    t.equal(metric(name, scope) as unknown, family)
    t.equal(registry.getSingleMetric(`app_${name}`) as unknown, family)
  }
  t.equal(registry.getMetricsAsArray().length, names.length)
})

t.test('buckets and further labels of the user\'s own', async (t) => {
  const scope = { registry: new Registry() }
  const family = metric('http_request_duration_seconds', scope, { buckets: [1, 2], extraLabels: ['tenant'] })
  t.same(family.buckets, [1, 2])
  t.same(family.labelNames, ['method', 'route', 'status_code', 'tenant'])
  t.throws(() => metric('http_request_duration_seconds', scope), { code: 'FP_ERR_METRIC_CONFLICT' })
})

t.test('promtool finds nothing to say about a page with every metric', async (t) => {
  const registry = new Registry()
  for (const name of names) {
    const family = metric(name, { registry })
    const labels = family.labelNames.map((label) => `some "${label}"`)
    if (family instanceof ObservableCounter || family instanceof ObservableGauge) family.addCallback((family) => family.labels(...labels).inc(1.5))
    else if (family instanceof Histogram) family.labels(...labels).observe(0.3)
    else family.labels(...labels).inc(2)
  }
  promtoolIsContent(t, await registry.metrics())
})
