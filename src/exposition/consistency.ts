import { labelsKey, type FamilySnapshot, type MetricType } from '../metrics/index.js'
import type { Failed } from './held.js'
import { pause } from './slices.js'

/** The number of series that are read between two checks of the clock. */
const BATCH = 256

/** The suffixes that the names of a family's lines have in any of the formats, by the type of the family. */
const PARTS: { readonly [T in MetricType]: readonly string[] } = {
  counter: [''],
  gauge: [''],
  unknown: [''],
  histogram: ['', '_bucket', '_sum', '_count', '_created'],
  summary: ['', '_sum', '_count', '_created']
}

/** The names that the lines of a family have in any of the formats, and the family's own name. */
export function lineNames ({ name, type }: FamilySnapshot): string[] {
  return PARTS[type].map((part) => name + part)
}

/**
 * Families in the form that a page can have: no name and no label set is there twice. Two families of one name, type
 * and help are merged if they have no series in common. Else, of two families whose lines would share a name, the first
 * stays. Of two series with the same labels, the first stays.
 * @param failed called with the name of a family that is left out or has lost series
 */
export async function consistent (families: readonly FamilySnapshot[], failed: Failed): Promise<FamilySnapshot[]> {
  const byName = new Map<string, FamilySnapshot>()
  const taken = new Map<string, string>()
  for (const given of families) {
    const family = await withoutRepeats(given, failed)
    const same = byName.get(family.name)
    if (same !== undefined) {
      try {
        byName.set(family.name, await merge(same, family))
      } catch (error) {
        failed(family.name, error)
      }
      continue
    }
    const names = lineNames(family)
    const clash = names.find((name) => taken.has(name))
    if (clash !== undefined) {
      failed(family.name, new Error(`its lines would have the name '${clash}', which those of ${taken.get(clash)} have: it is left out`))
      continue
    }
    for (const name of names) taken.set(name, family.name)
    byName.set(family.name, family)
  }
  return [...byName.values()]
}

/** A family without the series whose labels an earlier series has. */
async function withoutRepeats (family: FamilySnapshot, failed: Failed): Promise<FamilySnapshot> {
  if (family.mayRepeat !== true) return family
  const keys = new Set<string>()
  const repeated = new Set<number>()
  let i = 0
  for (const { labels } of family.series()) {
    if (i % BATCH === 0) await pause()
    const key = labelsKey(labels)
    if (keys.has(key)) repeated.add(i)
    keys.add(key)
    i++
  }
  if (repeated.size === 0) return family
  failed(family.name, new Error(`${repeated.size} of its series are left out, for an earlier one has the same labels`))
  return {
    ...family,
    values: undefined,
    size: family.size - repeated.size,
    * series () {
      let i = 0
      for (const series of family.series()) if (!repeated.has(i++)) yield series
    }
  }
}

/** Merges two families of one name. @throws Error when they are not of one kind or have a series in common */
async function merge (first: FamilySnapshot, second: FamilySnapshot): Promise<FamilySnapshot> {
  if (first.type !== second.type) throw new Error(`an earlier metric of this name is of type ${first.type}, and this one ${second.type}: it is left out`)
  if (first.help !== second.help) throw new Error('an earlier metric of this name has another help: it is left out')
  if (first.bounds.join() !== second.bounds.join()) throw new Error('an earlier histogram of this name has other buckets: it is left out')
  const keys = new Set<string>()
  let i = 0
  for (const family of [first, second]) {
    for (const { labels } of family.series()) {
      if (i++ % BATCH === 0) await pause()
      const key = labelsKey(labels)
      if (keys.has(key)) throw new Error('an earlier metric of this name has a series of the same labels: it is left out')
      keys.add(key)
    }
  }
  return {
    ...first,
    values: undefined,
    size: first.size + second.size,
    * series () {
      yield * first.series()
      yield * second.series()
    }
  }
}
