/** A sample's value, as every text format has it. */
export function valueText (value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

/**
 * A bound or a quantile as OpenMetrics has it (1.0, "Considerations: Canonical Numbers"), and as Prometheus itself
 * writes the bounds that it reads from protobuf: 1 is 1.0, a million is 1e+06. Every format uses this text, so that a
 * series is the same series in all formats.
 */
export function boundText (bound: number): string {
  if (!Number.isFinite(bound)) return valueText(bound)
  const [digits = '', exponent = ''] = bound.toExponential().split('e')
  const power = Number(exponent)
  if (bound !== 0 && (power < -4 || power >= 6)) return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
  const text = String(bound)
  return text.includes('.') ? text : `${text}.0`
}

/** Microseconds in a second. A time of today in seconds is exact to a microsecond; its digits below that are noise. */
const MICROSECONDS = 1e6

/**
 * A time in seconds as text. Prometheus multiplies the time by 1000 and cuts off the fraction
 * (model/textparse/openmetricsparse.go). If the product would fall below the right millisecond, the next higher number
 * is written: 1764082800.1230001 for 1764082800.123.
 */
export function secondsText (seconds: number): string {
  const milliseconds = Math.floor(Math.round(seconds * MICROSECONDS) / 1000)
  let written = seconds
  // Each step takes the next higher float, twice at most: the step is more than the error of the product.
  for (let step = 0; step < 2 && milliseconds < Number.MAX_SAFE_INTEGER && Math.floor(written * 1000) < milliseconds; step++) written *= 1 + Number.EPSILON
  return valueText(written)
}
