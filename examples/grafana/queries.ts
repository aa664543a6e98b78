/** The service and the processes that the variables choose; every selector says so. */
const SERVICE = 'namespace=~"$namespace", job=~"$job"'
const CHOSEN = `${SERVICE}, pod=~"$pod", instance=~"$instance"`

/** What tells processes apart: a pod in Kubernetes, an instance anywhere. */
export const PROCESS = 'pod, instance'
export const PROCESS_LEGEND = '{{pod}} {{instance}}'

/** What a counter or a histogram is looked at by: the labels that stay, and matchers of its series. */
export interface View {
  readonly by?: string
  readonly where?: readonly string[]
}

/** The series of a metric of the chosen processes. @param where more matchers, such as `route=~"$route"` */
export function series (metric: string, ...where: readonly string[]): string {
  return `${metric}{${[CHOSEN, ...where].join(', ')}}`
}

/** Series that belong to the service and to none of its processes: recording rules and alerts. */
export function ofService (metric: string, ...where: readonly string[]): string {
  return `${metric}{${[SERVICE, ...where].join(', ')}}`
}

/** How fast a counter grows, a second. */
export function rate (metric: string, ...where: readonly string[]): string {
  return `rate(${series(metric, ...where)}[$__rate_interval])`
}

/** How much a counter grew in the time that the dashboard shows. */
export function growth (metric: string, ...where: readonly string[]): string {
  return `increase(${series(metric, ...where)}[$__range])`
}

/** @param by the labels that stay; none for one number */
export function sum (vector: string, by = ''): string {
  return aggregate('sum', vector, by)
}

/** Of gauges that each process has for itself and that say the same or do not add up: the highest. */
export function max (vector: string, by = ''): string {
  return aggregate('max', vector, by)
}

/** Growth a second of a counter, of all chosen processes together. */
export function rateOf (metric: string, { by = '', where = [] }: View = {}): string {
  return sum(rate(metric, ...where), by)
}

/** What is a counter's that has no series before it counts for the first time: 0 wherever `whole` is. */
export function orZero (part: string, whole: string): string {
  return `(${part} or 0 * ${whole})`
}

/** As `orZero`, for a counter by a label: beside its values there is 'none', so that a zero can be told from an unknown. */
export function orNone (part: string, label: string, whole: string): string {
  return `${part} or label_replace(0 * ${whole}, "${label}", "none", "", "")`
}

/** A sum by a sum; nothing where there was nothing to divide by, and 0 where there was no part of it. */
export function share (part: string, whole: string): string {
  return `${orZero(part, whole)} / (${whole} > 0)`
}

/*
 * Prometheus keeps a histogram as classic series (_bucket, _count, _sum), as one native series, or as both. Every query below reads what is
 * there: the classic series first, and the native one only for those label sets that have no classic ones, so that nothing counts twice.
 */

/** How many observations a histogram had, a second, of all chosen processes together. */
export function counts (histogram: string, { by = '', where = [] }: View = {}): string {
  return sum(eitherOf('count', histogram, RATE, where), by)
}

/** The same, and what a counter counts that is not in the histogram: whatever ended, in either way. @param others matchers of the counter */
export function countsAnd (histogram: string, counter: string, { by = '', where = [] }: View, others: readonly string[]): string {
  return sum(`${eitherOf('count', histogram, RATE, where)} or ${rate(counter, ...others)}`, by)
}

/** What a histogram's observations add up to, a second. */
export function sums (histogram: string, { by = '', where = [] }: View = {}): string {
  return sum(eitherOf('sum', histogram, RATE, where), by)
}

/** How many observations a histogram had in the time that the dashboard shows. */
export function countIn (histogram: string, range = '$__range'): string {
  return sum(eitherOf('count', histogram, { grows: 'increase', range }, []))
}

/** What they add up to. @param range default: the time that the dashboard shows */
export function sumIn (histogram: string, range = '$__range'): string {
  return sum(eitherOf('sum', histogram, { grows: 'increase', range }, []))
}

/** A quantile of all chosen processes together. Where nothing was observed it would be NaN, which `>= 0` leaves out. */
export function quantile (q: number, histogram: string, { by = '', where = [] }: View = {}): string {
  const classic = sum(rate(`${histogram}_bucket`, ...where), labels('le', by))
  return `(histogram_quantile(${q}, ${classic}) or histogram_quantile(${q}, ${sum(rate(histogram, ...where), by)})) >= 0`
}

/** The mean of what a histogram observed. */
export function mean (histogram: string, view: View = {}): string {
  return `${sums(histogram, view)} / (${counts(histogram, view)} > 0)`
}

/** Observations a second that were at most a bound of the classic buckets. */
export function within (bound: string, histogram: string, ...where: readonly string[]): string {
  return atMost(bound, histogram, RATE, where)
}

/** Observations in the time shown that were above one bound of the classic buckets and at most another. @param bounds undefined for none */
export function between (lower: number | undefined, upper: number | undefined, histogram: string): string {
  const growth: Growth = { grows: 'increase', range: '$__range' }
  const upTo = (bound: number | undefined) => bound === undefined ? countIn(histogram) : atMost(String(bound), histogram, growth, [])
  return lower === undefined ? upTo(upper) : `${upTo(upper)} - ${upTo(lower)}`
}

/** How many observations fell into each bucket, in time: classic buckets by `le`, or native histograms. */
export function buckets (histogram: string, ...where: readonly string[]): string {
  const increase = (metric: string) => `increase(${series(metric, ...where)}[$__rate_interval])`
  return `${sum(increase(`${histogram}_bucket`), 'le')} or on () ${sum(increase(histogram))}`
}

/** A function that says what a counter or a histogram grew by, and over which time. */
interface Growth {
  readonly grows: 'rate' | 'increase'
  readonly range: string
}

const RATE: Growth = { grows: 'rate', range: '$__rate_interval' }

function eitherOf (part: 'count' | 'sum', histogram: string, { grows, range }: Growth, where: readonly string[]): string {
  return `${grows}(${series(`${histogram}_${part}`, ...where)}[${range}]) or histogram_${part}(${grows}(${series(histogram, ...where)}[${range}]))`
}

/** Prometheus writes a whole bound as 1 or 1.0, depending on its version and on the format it scraped. */
function atMost (bound: string, histogram: string, { grows, range }: Growth, where: readonly string[]): string {
  const classic = sum(`${grows}(${series(`${histogram}_bucket`, ...where, `le=~"${bound}(.0)?"`)}[${range}])`)
  const native = sum(`${grows}(${series(histogram, ...where)}[${range}])`)
  return `(${classic} or histogram_fraction(0, ${bound}, ${native}) * histogram_count(${native}))`
}

function aggregate (operation: string, vector: string, by: string): string {
  return by === '' ? `${operation}(${vector})` : `${operation} by (${by}) (${vector})`
}

function labels (...names: readonly string[]): string {
  return names.filter((name) => name !== '').join(', ')
}
