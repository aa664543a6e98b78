import type { Labels } from '../metrics/index.js'
import { seriesName, type Snapshot } from './snapshot.js'

const MOST_LINES = 20
const LONGEST_LINE = 200

/**
 * Describes the content of a registry that has no such series, or another value for it: the series of that name,
 * nearest first, or the names that the caller may have meant.
 */
export function describe (snapshot: Snapshot, name: string, labels: Labels): string {
  const samples = snapshot.samples(name)
  if (samples === undefined) return describeNames(snapshot, name)
  const unknown = snapshot.unknownLabels(name, labels)
  const mistaken = unknown.length > 0 ? `${name} has no label ${unknown.join(', ')}\n` : ''
  if (samples.length === 0) return `${mistaken}${name} has no series`
  const wanted = Object.entries(labels).map(([label, value]) => [label, String(value)] as const)
  const alike = (sample: { labels: Readonly<Record<string, string>> }) => wanted.filter(([label, value]) => Object.hasOwn(sample.labels, label) && sample.labels[label] === value).length
  const nearest = [...samples].sort((a, b) => alike(b) - alike(a))
  return `${mistaken}the registry has\n${list(nearest.map((sample) => `${seriesName(name, sample.labels)} ${sample.value}`))}`
}

function describeNames (snapshot: Snapshot, name: string): string {
  const parts = ['_count', '_sum', '_bucket'].map((part) => name + part).filter((part) => snapshot.samples(part) !== undefined)
  if (parts.length > 0) return `${name} is not the name of a series; its series are\n${list(parts)}`
  const distances = new Map(snapshot.names.map((other) => [other, other.includes(name) || name.includes(other) ? 1 : distance(name, other)]))
  const near = snapshot.names.filter((other) => (distances.get(other) ?? Infinity) <= Math.max(2, name.length / 4))
    .sort((a, b) => (distances.get(a) ?? 0) - (distances.get(b) ?? 0))
  if (near.length > 0) return `there is no metric of that name; did you mean\n${list(near.slice(0, 5))}`
  if (snapshot.names.length === 0) return 'the registry has no metrics'
  return `there is no metric of that name; the registry has\n${list(snapshot.names)}`
}

function list (lines: readonly string[]): string {
  const shown = lines.slice(0, MOST_LINES).map((line) => `  ${line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE - 3)}...` : line}`)
  if (lines.length > MOST_LINES) shown.push(`  and ${lines.length - MOST_LINES} more`)
  return shown.join('\n')
}

/** How many letters must be changed, added or removed to make one text from the other (Levenshtein). */
function distance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min((next[j] as number) + 1, (row[j + 1] as number) + 1, (row[j] as number) + (a[i] === b[j] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length] as number
}
