import process from 'node:process'

/** The middle of some numbers. */
export function median (numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

/**
 * Runs each of `variants` once a round, in turn, so that a machine that speeds up or slows down does so for all of them.
 * @param {Record<string, () => number | Promise<number>>} variants each gives its cost of one round
 * @param {{ rounds: number, warmup?: number }} options
 * @returns {Promise<Record<string, number[]>>} the costs, round by round
 */
export async function interleave (variants, { rounds, warmup = 2 }) {
  const costs = Object.fromEntries(Object.keys(variants).map((name) => [name, []]))
  for (let round = -warmup; round < rounds; round++) {
    const names = Object.keys(variants)
    if (round % 2 !== 0) names.reverse()
    for (const name of names) {
      const cost = await variants[name]()
      if (round >= 0) costs[name].push(cost)
    }
  }
  return costs
}

/** The median of the differences round by round: what `variant` costs more than `base`. */
export function difference (costs, variant, base) {
  return median(costs[variant].map((cost, round) => cost - costs[base][round]))
}

/** How many times each server is started: where a process puts its code and its memory moves a result for its whole life. */
export const STARTS = Number(process.env.BENCH_STARTS ?? 10)

/** The median over the starts of a process, with the range that all starts are in. */
export class Spread {
  constructor (numbers) {
    this.sorted = [...numbers].sort((a, b) => a - b)
    this.median = median(numbers)
  }

  /** `15.5 (12.1 to 30.0)`, with so many digits. */
  text (digits) {
    return `${this.median.toFixed(digits)} (${this.sorted[0].toFixed(digits)} to ${this.sorted.at(-1).toFixed(digits)})`
  }
}

/** The part of a peer's cost that ours is: `1/4.8`. */
export function share (ours, peer) {
  return ours <= 0 ? '0' : `1/${(peer / ours).toFixed(1)}`
}

/** One line of the table: what, what was found, what it had to be, and whether it is. */
export function row (what, result, budget, holds) {
  return { what, result, budget, holds: holds ? 'yes' : 'NO' }
}
