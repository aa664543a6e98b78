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
