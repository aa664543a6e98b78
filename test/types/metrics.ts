// Compiled, never run: what of metrics/ must compile, and after @ts-expect-error what must not.
import * as platformatic from '@platformatic/prom-client'
import * as renamed from '@prometheus-io/client'
import * as prom from 'prom-client'
import { metric, type Scope } from '../../src/catalogue.js'
import { Counter, Gauge, Histogram, familyIn, isRegistry, type CounterChild, type FamilyConfig, type GaugeChild, type HistogramChild, type RegistryLike } from '../../src/metrics/index.js'

export function labelNamesAreTyped (): void {
  const counter = new Counter({ name: 'a_total', help: 'A.', labelNames: ['method', 'route'] })
  counter.inc()
  counter.inc(2)
  counter.inc({ method: 'GET' }, 2)
  counter.inc({ method: 'GET', route: 5 })
  counter.inc({ labels: { method: 'GET' }, value: 1, exemplarLabels: { trace_id: '1' } })
  counter.labels({ method: 'GET', route: '/' }).inc()
  counter.labels('GET', 200).inc(1)
  counter.remove({ method: 'GET' })
  counter.remove('GET', '/')
  // @ts-expect-error an unknown label
  counter.inc({ methd: 'GET' })
  // @ts-expect-error an unknown label
  counter.labels({ methd: 'GET' })
  // @ts-expect-error an unknown label
  counter.remove({ methd: 'GET' })
  // @ts-expect-error a label's value is a string or a number
  counter.inc({ method: true })
  // @ts-expect-error a counter has no dec
  counter.dec()
  // @ts-expect-error a number is wanted
  counter.inc({ method: 'GET' }, '2')

  const gauge = new Gauge({ name: 'b', help: 'B.', labelNames: ['state'] as const })
  gauge.set({ state: 'idle' }, 1)
  gauge.startTimer({ state: 'idle' })({ state: 'used' }).toFixed()
  gauge.labels('idle').startTimer()({ state: 'used' }).toFixed()
  // @ts-expect-error an unknown label at the end of a timer
  gauge.labels('idle').startTimer()({ stat: 'used' })
  // @ts-expect-error a value is wanted
  gauge.set({ state: 'idle' })

  const histogram = new Histogram({ name: 'c_seconds', help: 'C.', labelNames: ['route'], buckets: [1, 2] })
  histogram.observe({ route: '/' }, 1)
  histogram.zero({ route: '/' })
  histogram.labels('/').observe(1)
  // @ts-expect-error an unknown label
  histogram.zero({ rout: '/' })
  // @ts-expect-error a value is wanted
  histogram.labels('/').observe()
  // @ts-expect-error buckets are numbers
  histogram.buckets satisfies readonly string[]

  const children: [CounterChild<'method' | 'route'>, GaugeChild<'state'>, HistogramChild<'route'>] = [counter.labels('a', 'b'), gauge.labels('a'), histogram.labels('a')]
  children[0].inc()
}

export function aConfigurationOfPromClientServes (): void {
  const registers = [prom.register]
  const config: prom.CounterConfiguration<'a'> = { name: 'a_total', help: 'A.', labelNames: ['a'], registers, aggregator: 'first', enableExemplars: true }
  new Counter(config).inc({ a: 'x' })
  const buckets: prom.HistogramConfiguration<'a'> = { name: 'a_seconds', help: 'A.', buckets: prom.exponentialBuckets(1, 2, 3) }
  new Histogram({ ...buckets, collect () {} }).observe({ a: 'x' }, 1)
  new Gauge({ name: 'a', help: 'A.', collect () { this.set(1) } }).inc()
  new Gauge({ name: 'a', help: 'A.', labelNames: ['a'], async collect () { this.labels('x').set(await Promise.resolve(1)) } }).inc({ a: 'x' })
  new Counter({ name: 'a_total', help: 'A.', collect () { this.inc() } }).inc()
  new Histogram({ name: 'a_seconds', help: 'A.', collect () { this.observe(1) } }).observe(1)
  // @ts-expect-error a counter cannot be set, not in collect either
  new Counter({ name: 'a_total', help: 'A.', collect () { this.set(1) } }).inc()
  // @ts-expect-error help is not optional
  new Counter({ name: 'a_total' }).inc()
  // @ts-expect-error no such aggregator
  new Counter({ name: 'a_total', help: 'A.', aggregator: 'median' }).inc()
}

/** What code that was written for prom-client's may call. */
type Uses<M, K extends keyof M> = Pick<M, K>

export function oursServeWherePromClientsAreExpected (): void {
  const counter: Uses<prom.Counter<'a'>, 'inc' | 'labels' | 'remove' | 'reset'> = new Counter({ name: 'a_total', help: 'A.', labelNames: ['a'] })
  const gauge: Uses<prom.Gauge<'a'>, 'inc' | 'dec' | 'set' | 'setToCurrentTime' | 'startTimer' | 'labels' | 'remove' | 'reset'> = new Gauge({ name: 'a', help: 'A.', labelNames: ['a'] })
  const histogram: Uses<prom.Histogram<'a'>, 'observe' | 'startTimer' | 'zero' | 'labels' | 'remove' | 'reset'> = new Histogram({ name: 'a_seconds', help: 'A.', labelNames: ['a'] })
  counter.inc({ a: 'x' })
  gauge.labels('x').startTimer()()
  histogram.labels({ a: 'x' }).observe(1)
}

export function registriesAreKnownByTheirShape (): void {
  const registries: RegistryLike[] = [
    prom.register, new prom.Registry(), new prom.Registry<prom.OpenMetricsContentType>(), new prom.AggregatorRegistry<prom.PrometheusContentType>(),
    renamed.register, new renamed.Registry(), new renamed.Registry<renamed.OpenMetricsContentType>(),
    platformatic.register, new platformatic.Registry(), new platformatic.Registry<platformatic.OpenMetricsContentType>()
  ]
  new Counter({ name: 'a_total', help: 'A.', registers: registries }).inc()
  const scope: Scope = { registry: renamed.register }
  metric('db_rows_total', scope).inc({ alias: 'default', vendor: 'postgresql', operation: 'select' }, 5)
  // @ts-expect-error a metric is no registry
  registries.push(new prom.Counter({ name: 'a_total', help: 'A.' }))
  const unknown: unknown = prom.register
  if (isRegistry(unknown)) unknown.contentType satisfies string
}

export function familiesOfTheCatalogueAreTyped (): void {
  metric('http_request_duration_seconds', {}).labels('GET', '/', 200).observe(1)
  metric('http_request_duration_seconds', { prefix: 'app_' }, { extraLabels: ['tenant'], buckets: [1] }).observe({ method: 'GET' }, 1)
  metric('http_requests_in_flight', {}).addCallback((gauge) => gauge.inc({ route: '/' }))
  // @ts-expect-error not a metric of the catalogue
  metric('http_requests', {})
  // @ts-expect-error a counter is not observed
  metric('http_requests_received_total', {}).observe(1)
  // @ts-expect-error not a label of it
  metric('http_requests_received_total', {}).inc({ model: 'walk' })
  const config: FamilyConfig<'a'> & { buckets: number[] } = { name: 'a_seconds', help: 'A.', labelNames: ['a'], buckets: [1] }
  familyIn(prom.register, config, Histogram<'a'>).observe({ a: 'x' }, 1)
}
