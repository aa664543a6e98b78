/** The median of some numbers. */
export function median (numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

/**
 * Runs each variant once a round, in turn. So a machine that becomes faster or slower does so for all variants.
 * @param {Record<string, () => number | Promise<number>>} variants each runs one round and gives its cost
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

/** How much more `variant` costs than `base`: the median of the differences, round by round. */
export function difference (costs, variant, base) {
  return median(costs[variant].map((cost, round) => cost - costs[base][round]))
}

/** One line of the table: what was measured, the result, the budget, and whether the result is within the budget. */
export function row (what, result, budget, holds) {
  return { what, result, budget, holds: holds ? 'yes' : 'NO' }
}
