/**
 * What a page says of a metric, from what its owner gave: prom-client takes anything there. It never throws, for a help is never worth a metric.
 * @returns the text; of what is none, what JavaScript makes of it, or nothing where it can make nothing
 */
export function helpOf (given: unknown): string {
  if (typeof given === 'string') return given
  try {
    return String(given ?? '')
  } catch {
    return ''
  }
}
