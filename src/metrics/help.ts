/**
 * The help text of a metric, from the value that the metric's owner gave: prom-client accepts any value there. It never
 * throws, because a bad help text is no reason to lose a metric.
 * @returns the given text; for any other value its string form, or '' when it has none
 */
export function helpOf (given: unknown): string {
  if (typeof given === 'string') return given
  try {
    return String(given ?? '')
  } catch {
    return ''
  }
}
