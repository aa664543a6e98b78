/** A sample's value, as every text format reads it. */
export function valueText (value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

/**
 * A bound or a quantile as OpenMetrics has it (1.0, "Considerations: Canonical Numbers"), and as Prometheus itself writes those it reads
 * from protobuf: 1 is 1.0, a million 1e+06. In every format, so that a series is the same one in all of them.
 */
export function boundText (bound: number): string {
  if (!Number.isFinite(bound)) return valueText(bound)
  const [digits = '', exponent = ''] = bound.toExponential().split('e')
  const power = Number(exponent)
  if (bound !== 0 && (power < -4 || power >= 6)) return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
  const text = String(bound)
  return text.includes('.') ? text : `${text}.0`
}

/** A time of today in seconds is exact to a microsecond; what it has below is noise. */
const MICROSECONDS = 1e6

/**
 * A time in seconds. Prometheus multiplies it by 1000 and cuts off what is behind the point (model/textparse/openmetricsparse.go), so where the product
 * would fall below its millisecond, the next number above is written: 1764082800.1230001 for 1764082800.123.
 */
export function secondsText (seconds: number): string {
  const milliseconds = Math.floor(Math.round(seconds * MICROSECONDS) / 1000)
  let written = seconds
  // The next float above, twice at most: its distance is more than the product can be off.
  for (let step = 0; step < 2 && Math.floor(written * 1000) < milliseconds; step++) written *= 1 + Number.EPSILON
  return valueText(written)
}
