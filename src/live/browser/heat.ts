import type { Line } from '../shape.js'

/** A step is drawn at most so many times as long as the steps of the range. */
const LONGEST = 4

/** A column of a heatmap: from when, until when, and what each bucket counted then. */
export interface Column {
  readonly from: number
  readonly to: number
  readonly counts: ReadonlyArray<number | null>
}

/**
 * The columns of a heatmap, about so many at most: neighbours are joined, and their counts averaged. Which neighbours
 * are joined depends on their times alone, so that a column stays the same while the picture moves on.
 */
export function columns (times: readonly number[], lines: readonly Line[], step: number, most: number): Column[] {
  const length = (times.at(-1) ?? 0) - (times[0] ?? 0)
  const width = step * Math.max(1, Math.ceil(length / step / Math.max(1, most)))
  const place = (index: number): number => Math.ceil((times[index] ?? 0) / width)
  const known = (index: number): boolean => lines.some(({ values }) => (values[index] ?? null) !== null)
  const result: Column[] = []
  for (let at = 0; at < times.length; at++) {
    if (!known(at)) continue
    const begin = at
    while (at + 1 < times.length && place(at + 1) === place(begin) && known(at + 1)) at++
    const first = times[begin] ?? 0
    const from = begin === 0 ? first - step : Math.max(times[begin - 1] ?? 0, first - LONGEST * step)
    result.push({ from, to: times[at] ?? 0, counts: lines.map(({ values }) => mean(values, begin, at + 1)) })
  }
  return result
}

/** The most that one bucket counted. */
export function highest (all: readonly Column[]): number {
  return all.reduce((most, { counts }) => Math.max(most, ...counts.map((count) => count ?? 0)), 0)
}

/** The lines in the order of their bounds, with +Inf last. */
export function byBound (lines: readonly Line[]): Line[] {
  return [...lines].sort((a, b) => bound(a.name) - bound(b.name))
}

/** How dark a count is, from 0 (nothing) to 1 (the highest). Small counts stay visible beside large ones. */
export function darkness (count: number, most: number): number {
  return count <= 0 || most <= 0 ? 0 : 0.12 + 0.88 * Math.sqrt(Math.min(1, count / most))
}

/** The upper bound that a bucket's name tells. */
export function bound (name: string): number {
  return name === '+Inf' ? Infinity : Number(name)
}

function mean (values: ReadonlyArray<number | null>, from: number, to: number): number | null {
  let sum = 0
  let known = 0
  for (let index = from; index < to; index++) {
    const value = values[index] ?? null
    if (value === null) continue
    sum += value
    known++
  }
  return known === 0 ? null : sum / known
}
