import type { Exemplar } from './exemplar.js'

/**
 * The most exemplars of a series, and the seconds for which a series shows an exemplar: client_golang's defaults (its
 * prometheus/histogram.go, NativeHistogramExemplarTTL).
 */
const MOST = 10
const LIFETIME = 300

/**
 * Adds an exemplar to the exemplars of a series without classic buckets, which are in the order of their values. If
 * there are too many, an expired exemplar is removed, or else the older of the two exemplars with the closest values.
 * So the exemplars stay spread over the whole range of values.
 */
export function addSpread (exemplars: Exemplar[], added: Exemplar): void {
  let at = exemplars.length
  while (at > 0 && (exemplars[at - 1] as Exemplar).value > added.value) at--
  exemplars.splice(at, 0, added)
  if (exemplars.length > MOST) exemplars.splice(leastUseful(exemplars, added.timestamp), 1)
}

/** Whether an exemplar is still shown: the trace of an old exemplar may be gone. @param now seconds since the epoch */
export function isFresh (exemplar: Exemplar | undefined, now: number): exemplar is Exemplar {
  return exemplar !== undefined && now - exemplar.timestamp < LIFETIME
}

function leastUseful (exemplars: readonly Exemplar[], now: number): number {
  let oldest = 0
  let closest = 1
  let least = Infinity
  for (let i = 1; i < exemplars.length; i++) {
    if (timeOf(exemplars, i) < timeOf(exemplars, oldest)) oldest = i
    const distance = positionOf(exemplars, i) - positionOf(exemplars, i - 1)
    if (distance >= least) continue
    least = distance
    closest = i
  }
  if (!isFresh(exemplars[oldest], now)) return oldest
  return timeOf(exemplars, closest - 1) <= timeOf(exemplars, closest) ? closest - 1 : closest
}

function timeOf (exemplars: readonly Exemplar[], i: number): number {
  return (exemplars[i] as Exemplar).timestamp
}

/** The position of a value among native buckets, whose width grows with their values. */
function positionOf (exemplars: readonly Exemplar[], i: number): number {
  const { value } = exemplars[i] as Exemplar
  return value === 0 ? 0 : Math.sign(value) * Math.max(Math.log2(Math.abs(value)) + 129, 1)
}
