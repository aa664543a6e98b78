import * as platformatic from '@platformatic/prom-client'
import * as renamed from '@prometheus-io/client'
import * as prom from 'prom-client'
import t from 'tap'
import { Counter, Gauge, Histogram, defaultRegistry, isRegistry, type RegistryLike } from '../../src/metrics/index.js'
import { pageOf, stateOf } from './page.js'

/** A registry with what the library's own have besides, and the library's metrics. */
interface Registry extends RegistryLike {
  setDefaultLabels (labels: object): void
  resetMetrics (): void
  clear (): void
}
interface Library {
  Registry: new (contentType?: string) => Registry
  AggregatorRegistry: { aggregate (states: unknown[][]): RegistryLike }
  Counter: typeof Counter
  Gauge: typeof Gauge
  Histogram: typeof Histogram
}

// Each library has its own classes of the same behaviour; what the test calls is written down above.
const libraries: Record<string, Library> = {
  'prom-client': prom as unknown as Library,
  '@prometheus-io/client': renamed as unknown as Library,
  '@platformatic/prom-client': platformatic as unknown as Library
}

/** A metric of each kind, made with `instruments` and written to. */
function fill (registry: RegistryLike, instruments: Pick<Library, 'Counter' | 'Gauge' | 'Histogram'>, add = 0): void {
  const registers = [registry]
  const requests = new instruments.Counter({ name: 'requests_total', help: 'Of the "test"\\.\nSecond line.', labelNames: ['path', 'code'], registers })
  requests.inc({ path: '/a"b\\c\nd', code: 200 }, 2 + add)
  requests.labels('/', '404').inc()
  requests.inc({ path: '/' })
  new instruments.Counter({ name: 'bare_total', help: 'Of the test.', registers }).inc(add)
  new instruments.Gauge({ name: 'extreme', help: 'Of the test.', labelNames: ['of'], registers, aggregator: 'max', collect () { this.set({ of: 'NaN' }, NaN) } })
    .set({ of: 'all' }, -Infinity)
  new instruments.Gauge({ name: 'first', help: 'Of the test.', registers, aggregator: 'first' }).set(5 + add)
  new instruments.Gauge({ name: 'lowest', help: 'Of the test.', registers, aggregator: 'min' }).set(5 + add)
  new instruments.Gauge({ name: 'mean', help: 'Of the test.', registers, aggregator: 'average' }).set(5 + add)
  new instruments.Gauge({ name: 'left_out', help: 'Of the test.', registers, aggregator: 'omit' }).set(5 + add)
  new instruments.Gauge({ name: 'later', help: 'Of the test.', registers, async collect () { await null; this.set(1) } }).set(2)
  const seconds = new instruments.Histogram({ name: 'seconds', help: 'Of the test.', labelNames: ['path'], buckets: [0.1, 1, 10], registers })
  for (const value of [0, 0.1, 0.5, 10, 11 + add]) seconds.observe({ path: '/' }, value)
  seconds.zero({ path: '/zero' })
  new instruments.Histogram({ name: 'bare_seconds', help: 'Of the test.', registers }).observe(0.3)
}

for (const [name, library] of Object.entries(libraries)) {
  t.test(`a registry of ${name} shows our metrics as it shows its own`, async (t) => {
    const ours = new library.Registry()
    const theirs = new library.Registry()
    fill(ours, { Counter, Gauge, Histogram })
    fill(theirs, library)
    const same = async (what: string) => {
      t.equal(await pageOf(ours), await pageOf(theirs), `the page ${what}`)
      t.equal(await stateOf(ours), await stateOf(theirs), `the state ${what}`)
    }
    t.ok(isRegistry(ours))
    await same('as it is')
    t.equal(await ours.getSingleMetricAsString('bare_total'), await theirs.getSingleMetricAsString('bare_total'))

    const second = [new library.Registry(), new library.Registry()] as const
    fill(second[0], { Counter, Gauge, Histogram }, 1)
    fill(second[1], library, 1)
    const aggregated = async (...registries: RegistryLike[]) => {
      const states = await Promise.all(registries.map((registry) => registry.getMetricsAsJSON()))
      return pageOf(library.AggregatorRegistry.aggregate(JSON.parse(JSON.stringify(states))))
    }
    t.equal(await aggregated(ours, second[0]), await aggregated(theirs, second[1]), 'the sum of two processes, as messages carry it')
    t.match(await aggregated(ours, second[0]), /^requests_total\{code="200",path=".*"\} 5$/m)

    // prom-client writes the default labels into its metrics when it is asked for JSON, so this comes last.
    for (const registry of [ours, theirs]) registry.setDefaultLabels({ path: 'default', pod: 'p-1' })
    await same('with default labels')
    for (const registry of [ours, theirs]) registry.setDefaultLabels({})
    t.notMatch(await pageOf(ours), /pod=/, 'default labels are not for ever')

    for (const registry of [ours, theirs]) {
      registry.removeSingleMetric('extreme')
      registry.resetMetrics()
    }
    await same('after a reset')
    ours.clear()
    t.same(ours.getMetricsAsArray(), [])
    t.throws(() => {
      fill(theirs, { Counter, Gauge, Histogram })
    }, /A metric with the name requests_total has already been registered/)
  })

  t.test(`an OpenMetrics registry of ${name} shows our metrics as it shows its own`, async (t) => {
    const registries = ['ours', 'theirs'].map(() => new library.Registry('application/openmetrics-text; version=1.0.0; charset=utf-8')) as [Registry, Registry]
    fill(registries[0], { Counter, Gauge, Histogram })
    fill(registries[1], library)
    for (const what of ['at first', 'and again, when the counters are renamed']) {
      t.equal(await pageOf(registries[0]), await pageOf(registries[1]), `the page ${what}`)
    }
    t.match(await registries[0].metrics(), /^requests_total\{path="\/",code="404"\} 1$[^]*# EOF\n$/m)
  })
}

t.test('a metric in several registries is in each of them', async (t) => {
  const registers = Object.values(libraries).map(({ Registry }) => new Registry())
  const counter = new Counter({ name: 'everywhere_total', help: 'Of the test.', registers })
  counter.inc(3)
  const pages = await Promise.all(registers.map((registry) => registry.metrics()))
  t.same(pages, registers.map(() => '# HELP everywhere_total Of the test.\n# TYPE everywhere_total counter\neverywhere_total 3\n'))
})

t.test('the default is the global registry of prom-client, where the users\' own metrics are', async (t) => {
  t.teardown(() => defaultRegistry.removeSingleMetric('global_total'))
  const counter = new Counter({ name: 'global_total', help: 'Of the test.', registers: undefined })
  t.equal(prom.register.getSingleMetric('global_total') as unknown, counter)
})

t.test('a registry is known by its shape', async (t) => {
  const { metrics, ...rest } = Object.fromEntries(['registerMetric', 'getSingleMetric', 'removeSingleMetric', 'getMetricsAsArray', 'getMetricsAsJSON', 'getSingleMetricAsString', 'metrics']
    .map((method) => [method, () => {}]))
  t.ok(isRegistry({ contentType: 'text/plain', metrics, ...rest }))
  for (const other of [undefined, null, 'registry', {}, { metrics, ...rest }, { contentType: 'text/plain', ...rest }]) t.notOk(isRegistry(other))
})
