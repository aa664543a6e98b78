// Compiled, never run: every type that prom-client and its relatives declare for a counter, a gauge and a histogram accepts ours.
import * as platformatic from '@platformatic/prom-client'
import * as renamed from '@prometheus-io/client'
import * as prom from 'prom-client'
import { Counter, Gauge, Histogram, type Labels, type MetricObject, type MetricValue } from '../../src/metrics/index.js'

const registers: [] = []
const config = { name: 'subject', help: 'Of the test.', labelNames: ['a'] as const, registers }
const bare = { name: 'subject', help: 'Of the test.', registers }
const counter = new Counter(config)
const gauge = new Gauge(config)
const histogram = new Histogram(config)

/** Compiles where `accepted` may be given for a T. */
declare function accepts<T> (accepted: T): void

export function theirClassesAcceptOurs (): void {
  accepts<prom.Counter<'a'>>(new Counter(config))
  accepts<prom.Gauge<'a'>>(new Gauge(config))
  accepts<prom.Histogram<'a'>>(new Histogram(config))
  accepts<prom.Summary<'a'>>(new Histogram(config))
  accepts<prom.Counter>(new Counter(bare))
  accepts<prom.Gauge>(new Gauge(bare))
  accepts<prom.Histogram>(new Histogram(bare))
  accepts<prom.Metric<'a'>>(counter)
  accepts<prom.Metric[]>([counter, gauge, histogram])
  accepts<renamed.Counter<'a'>>(new Counter(config))
  accepts<renamed.Gauge<'a'>>(new Gauge(config))
  accepts<renamed.Histogram<'a'>>(new Histogram(config))
  accepts<renamed.Summary<'a'>>(new Histogram(config))
  accepts<renamed.Counter>(new Counter(bare))
  accepts<renamed.Gauge>(new Gauge(bare))
  accepts<renamed.Histogram>(new Histogram(bare))
  accepts<Array<renamed.Metric<'a'>>>([counter, gauge, histogram])
  accepts<platformatic.Counter<'a'>>(new Counter(config))
  accepts<platformatic.Gauge<'a'>>(new Gauge(config))
  accepts<platformatic.Histogram<'a'>>(new Histogram(config))
  accepts<platformatic.Counter>(new Counter(bare))
  accepts<platformatic.Gauge>(new Gauge(bare))
  accepts<platformatic.Histogram>(new Histogram(bare))
  accepts<Array<platformatic.Metric<'a'>>>([counter, gauge, histogram])
  // @ts-expect-error a counter is no gauge
  accepts<prom.Gauge<'a'>>(counter)
  // @ts-expect-error another label
  accepts<prom.Counter<'b'>>(counter)
  // @ts-expect-error another label
  accepts<renamed.Histogram<'b'>>(histogram)
}

export function theirRegistriesTakeOurs (): void {
  prom.register.registerMetric(new Counter(config))
  prom.register.registerMetric(new Gauge(bare))
  prom.register.registerMetric(new Histogram({ ...config, buckets: [1] }))
  new prom.Registry<prom.OpenMetricsContentType>().registerMetric<'a'>(histogram)
  for (const metric of [counter, gauge, histogram]) prom.register.registerMetric(metric)
  renamed.register.registerMetric(new Counter(config))
  renamed.register.registerMetric(new Gauge(bare))
  renamed.register.registerMetric(new Histogram({ ...config, buckets: [1] }))
  accepts<Promise<string>>(renamed.register.getMetricsAsString(histogram))
  platformatic.register.registerMetric(new Counter(config))
  platformatic.register.registerMetric(new Gauge(bare))
  platformatic.register.registerMetric(new Histogram({ ...config, buckets: [1] }))
  const held: Counter<'a'> = prom.register.getSingleMetric<'a'>('subject') as Counter<'a'>
  held.inc({ a: 'x' })
  // @ts-expect-error a child is no metric
  prom.register.registerMetric(counter.labels('x'))
}

export function theirChildrenAcceptOurs (): void {
  accepts<prom.Counter.Internal>(counter.labels('x'))
  accepts<prom.Gauge.Internal<'a'>>(gauge.labels('x'))
  accepts<prom.Histogram.Internal<'a'>>(histogram.labels({ a: 'x' }))
  accepts<prom.Summary.Internal<'a'>>(histogram.labels({ a: 'x' }))
  accepts<renamed.Counter.Internal>(counter.labels('x'))
  accepts<renamed.Gauge.Internal<'a'>>(gauge.labels('x'))
  accepts<renamed.Histogram.Internal<'a'>>(histogram.labels('x'))
  accepts<platformatic.Counter.Internal>(counter.labels('x'))
  accepts<platformatic.Gauge.Internal<'a'>>(gauge.labels('x'))
  accepts<platformatic.Histogram.Internal<'a'>>(histogram.labels('x'))
  accepts<Counter.Internal>(counter.labels('x'))
  accepts<Gauge.Internal<'a'>>(gauge.labels('x'))
  accepts<Histogram.Internal<'a'>>(histogram.labels('x'))
  accepts<Histogram.Config>({ buckets: [1] })
  accepts<prom.Histogram.Config>({ buckets: [1] } satisfies Histogram.Config)
  // @ts-expect-error a counter's child has no set
  accepts<Gauge.Internal<'a'>>(counter.labels('x'))
}

export async function theirStatesAcceptOurs (): Promise<void> {
  accepts<prom.MetricObjectWithValues<prom.MetricValue<'a'>>>(await counter.get())
  accepts<prom.MetricObjectWithValues<prom.MetricValue<'a'>>>(await gauge.get())
  accepts<prom.MetricObjectWithValues<prom.MetricValueWithName<'a'>>>(await histogram.get())
  accepts<prom.MetricObject>(await histogram.get())
  accepts<prom.MetricType>((await histogram.get()).type)
  accepts<prom.Aggregator>((await histogram.get()).aggregator)
  accepts<prom.Aggregator>(histogram.aggregator)
  accepts<renamed.MetricObjectWithValues<renamed.MetricValue<'a'>>>(await counter.get())
  accepts<renamed.MetricObjectWithValues<renamed.MetricValueWithName<'a'>>>(await histogram.get())
  accepts<renamed.MetricObject>(await gauge.get())
  accepts<renamed.MetricType>((await gauge.get()).type)
  accepts<platformatic.MetricObjectWithValues<platformatic.MetricValueWithName<'a'>>>(await histogram.get())
  accepts<MetricObject<MetricValue<'a'>>>(await counter.get())
  const [value] = (await counter.get()).values
  accepts<prom.LabelValues<'a'> | undefined>(value?.labels)
  accepts<string | number | undefined>(value?.labels.a)
  // @ts-expect-error no such label
  accepts<string>(value?.labels.b)
  const state: Awaited<ReturnType<Counter<'a'>['get']>> = await counter.get()
  accepts<MetricValue<'a'> | undefined>(state.values[0])
  // @ts-expect-error no such label
  accepts<string>(state.values[0]?.labels.b)
}

export function theirConstructorsAcceptOurs (): void {
  accepts<typeof prom.Counter>(Counter)
  accepts<typeof prom.Gauge>(Gauge)
  accepts<typeof prom.Histogram>(Histogram)
  accepts<typeof renamed.Counter>(Counter)
  accepts<typeof renamed.Gauge>(Gauge)
  accepts<typeof renamed.Histogram>(Histogram)
  accepts<typeof platformatic.Counter>(Counter)
  accepts<typeof platformatic.Gauge>(Gauge)
  accepts<typeof platformatic.Histogram>(Histogram)
  accepts<Pick<typeof prom, 'Counter' | 'Gauge' | 'Histogram'>>({ Counter, Gauge, Histogram })
  // @ts-expect-error a gauge is no counter
  accepts<typeof prom.Gauge>(Counter)
}

export function ourConstructorsAcceptTheirConfigurations (): void {
  accepts<prom.Counter<'a'>>(new Counter({} as prom.CounterConfiguration<'a'>))
  accepts<prom.Gauge<'a'>>(new Gauge({} as prom.GaugeConfiguration<'a'>))
  accepts<prom.Histogram<'a'>>(new Histogram({} as prom.HistogramConfiguration<'a'>))
  new Counter({} as prom.MetricConfiguration<'a'>).inc({ a: 'x' })
  new Counter({} as renamed.CounterConfiguration<'a'>).inc({ a: 'x' })
  new Gauge({} as renamed.GaugeConfiguration<'a'>).set({ a: 'x' }, 1)
  new Histogram({} as renamed.HistogramConfiguration<'a'>).observe({ a: 'x' }, 1)
  new Counter({} as platformatic.CounterConfiguration<'a'>).inc({ a: 'x' })
  new Gauge({} as platformatic.GaugeConfiguration<'a'>).set({ a: 'x' }, 1)
  new Histogram({} as platformatic.HistogramConfiguration<'a'>).observe({ a: 'x' }, 1)
  // A collect that is typed for theirs or for ours, alone or beside the rest.
  const theirs: prom.CollectFunction<prom.Gauge<'a'>> = function () { this.set({ a: 'x' }, 1) }
  const ours: prom.CollectFunction<Gauge<'a'>> = async function () { this.labels('x').set(1) }
  const collector: prom.Collector = () => { gauge.set({ a: 'x' }, 1) }
  for (const collect of [theirs, ours, collector]) new Gauge({ ...config, collect }).set({ a: 'x' }, 1)
  new Gauge({ ...config, collect (this: Gauge<'a'>) { this.set({ a: 'x' }, 1) } }).inc()
  new Gauge({ ...config, collect () { this.set({ a: 'x' }, 1) } }).inc()
  // @ts-expect-error an unknown label, in collect too
  new Gauge({ ...config, collect () { this.set({ b: 'x' }, 1) } }).inc()
  counter.inc({} as prom.IncreaseDataWithExemplar<'a'>)
  histogram.observe({} as prom.ObserveDataWithExemplar<'a'>)
  counter.inc({} as renamed.IncreaseDataWithExemplar<'a'>)
  histogram.observe({} as renamed.ObserveDataWithExemplar<'a'>)
  const labels: prom.LabelValues<'a'> = { a: 'x' } satisfies Labels<'a'>
  counter.inc(labels)
  gauge.setToCurrentTime(labels)
  histogram.zero(labels)
  histogram.remove(labels)
}

/** What a service writes around prom-client, for any labels. */
export class Metrics<T extends string> {
  readonly counters = new Map<string, prom.Counter<T>>()
  counter (config: prom.CounterConfiguration<T>): prom.Counter<T> {
    const counter = new Counter(config)
    this.counters.set(config.name, counter)
    return counter
  }

  gauge (config: prom.GaugeConfiguration<T>): prom.Gauge<T> {
    return new Gauge(config)
  }

  histogram (config: prom.HistogramConfiguration<T>): prom.Histogram<T> {
    const histogram = new Histogram(config)
    new prom.Registry().registerMetric(histogram)
    return histogram
  }

  renamed (config: renamed.HistogramConfiguration<T>): renamed.Histogram<T> {
    return new Histogram(config)
  }
}

/** Whether A, B and so on are assignable where the same with other labels is wanted, in that order. */
type Assignable<From extends unknown[], To extends unknown[]> = { [I in keyof From]: [From[I]] extends [I extends keyof To ? To[I] : never] ? true : false }
type Ours<T extends string> = [Counter<T>, Gauge<T>, Histogram<T>, Counter.Internal, Gauge.Internal<T>, Histogram.Internal<T>]
type Theirs<T extends string> = [prom.Counter<T>, prom.Gauge<T>, prom.Histogram<T>, prom.Counter.Internal, prom.Gauge.Internal<T>, prom.Histogram.Internal<T>]

/** That ours are as assignable to each other and to prom-client's as those are to each other: true, true, ... */
type VaryAsTheirs<A extends string, B extends string> = [
  Same<Assignable<Ours<A>, Ours<B>>, Assignable<Theirs<A>, Theirs<B>>>,
  Same<Assignable<Ours<A>, Theirs<B>>, Assignable<Theirs<A>, Theirs<B>>>
]
type Same<A, B> = [A, B] extends [B, A] ? true : [A, B]

export function labelsVaryAsTheirsDo (): void {
  accepts<[true, true]>({} as VaryAsTheirs<'a', 'a' | 'b'>)
  accepts<[true, true]>({} as VaryAsTheirs<'a' | 'b', 'a'>)
  accepts<[true, true]>({} as VaryAsTheirs<'a', 'b'>)
  accepts<[true, true]>({} as VaryAsTheirs<'a' | 'b', 'b' | 'c'>)
  accepts<[true, true]>({} as VaryAsTheirs<'a', string>)
  accepts<[true, true]>({} as VaryAsTheirs<string, 'a'>)
  accepts<[true, true]>({} as VaryAsTheirs<'a', never>)
  accepts<[true, true]>({} as VaryAsTheirs<never, 'a'>)
  accepts<[true, true]>({} as VaryAsTheirs<string, never>)
  accepts<[true, true]>({} as VaryAsTheirs<never, string>)
  const wider = new Gauge({ ...bare, labelNames: ['a', 'b'] })
  accepts<Gauge<'a'>>(wider)
  accepts<prom.Gauge<'a'>>(wider)
  accepts<renamed.Gauge<'a'>>(wider)
  accepts<Gauge>(wider)
  // @ts-expect-error neither has the other's label
  accepts<Gauge<'c'>>(wider)
}

export function childrenAreCallbacks (values: number[]): void {
  values.forEach(histogram.labels('x').observe)
  values.forEach(gauge.labels('x').set)
  const { inc } = counter.labels('x')
  inc()
  accepts<() => void>({ ...gauge.labels('x') }.setToCurrentTime)
  new Map<object, number>().forEach(histogram.labels('x').observe)
}
