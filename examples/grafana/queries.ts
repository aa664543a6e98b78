/** The processes that the variables choose; every selector says so. */
const CHOSEN = 'namespace=~"$namespace", job=~"$job", pod=~"$pod", instance=~"$instance"'

/** What tells processes apart: a pod in Kubernetes, an instance anywhere. */
export const PROCESS = 'pod, instance'
export const PROCESS_LEGEND = '{{pod}} {{instance}}'

/** What a histogram is looked at by: the labels that stay, and matchers of its series. */
export interface View {
  readonly by?: string
  readonly where?: readonly string[]
}

/** The series of a metric of the chosen processes. @param where more matchers, such as `route=~"$route"` */
export function series (metric: string, ...where: readonly string[]): string {
  return `${metric}{${[CHOSEN, ...where].join(', ')}}`
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

/** A quantile of a classic histogram of all chosen processes together. Where nothing was observed it would be NaN, which `>= 0` leaves out. */
export function quantile (q: number, histogram: string, { by = '', where = [] }: View = {}): string {
  return `histogram_quantile(${q}, ${sum(rate(`${histogram}_bucket`, ...where), labels('le', by))}) >= 0`
}

/** The mean of what a histogram observed. */
export function mean (histogram: string, { by = '', where = [] }: View = {}): string {
  return `${rateOf(`${histogram}_sum`, { by, where })} / (${rateOf(`${histogram}_count`, { by, where })} > 0)`
}

/** How many observations fell into each bucket: a heatmap in time, or one distribution of the whole time shown. */
export function buckets (histogram: string, range: '$__rate_interval' | '$__range', ...where: readonly string[]): string {
  return sum(`increase(${series(`${histogram}_bucket`, ...where)}[${range}])`, 'le')
}

function aggregate (operation: string, vector: string, by: string): string {
  return by === '' ? `${operation}(${vector})` : `${operation} by (${by}) (${vector})`
}

function labels (...names: readonly string[]): string {
  return names.filter((name) => name !== '').join(', ')
}
