import type { Exemplar } from './exemplar.js'

/** Exemplars that a series has at most, and seconds for which it shows one: client_golang's defaults (its prometheus/histogram.go, NativeHistogramExemplarTTL). */
const MOST = 10
const LIFETIME = 300

/**
 * Adds an exemplar to those of a series without classic buckets, which are in the order of their values. Where there are too many, an expired one goes, or else
 * the older of the two whose values are closest to each other: so they stay spread over the whole range.
 */
export function addSpread (exemplars: Exemplar[], added: Exemplar): void {
  let at = exemplars.length
  while (at > 0 && (exemplars[at - 1] as Exemplar).value > added.value) at--
  exemplars.splice(at, 0, added)
  if (exemplars.length > MOST) exemplars.splice(leastUseful(exemplars, added.timestamp), 1)
}

/** Whether an exemplar is still shown: the trace of an old one may be gone. @param now seconds since the epoch */
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

/** Where a value lies among native buckets, which are as wide as their values are large. */
function positionOf (exemplars: readonly Exemplar[], i: number): number {
  const { value } = exemplars[i] as Exemplar
  return value === 0 ? 0 : Math.sign(value) * Math.max(Math.log2(Math.abs(value)) + 129, 1)
}
