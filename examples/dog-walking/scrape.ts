import { Visitor } from './visitor.js'

/** A page of metrics: its series, written as they are there, `walks_started` or `name{label="value"}`. */
export type Series = ReadonlyMap<string, number>

/** Reads /metrics. @throws Error when it does not answer with metrics */
export async function scrape (url: string): Promise<Series> {
  const { status, text } = await new Visitor(url).open('/metrics')
  if (status !== 200) throw new Error(`/metrics answered ${status}`)
  const series = new Map<string, number>()
  for (const line of text.split('\n')) {
    const end = line.lastIndexOf(' ')
    if (end > 0 && !line.startsWith('#')) series.set(line.slice(0, end), Number(line.slice(end)))
  }
  return series
}

/** By how much each series moved, those that did. */
export function movedBetween (before: Series, after: Series): Map<string, number> {
  const moved = new Map<string, number>()
  for (const [name, value] of after) {
    const change = value - (before.get(name) ?? 0)
    if (change !== 0) moved.set(name, change)
  }
  return moved
}
