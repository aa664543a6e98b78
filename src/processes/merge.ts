import { pause } from '../exposition/index.js'
import type { ContributionFile } from './contribution-file.js'
import type { FamilyHead } from './contribution.js'
import { isMomentary, isSame, type Definition } from './definition.js'
import { MergedFamily } from './merged-family.js'

/** What one process, or the ledger of those that ended, has for a page. */
export interface Part {
  readonly file: ContributionFile
  /** The value of the label `process`. */
  readonly process: string
  /** Whether only what it counted is of interest: a gauge of a process that ended says nothing. */
  readonly isEnded: boolean
}

/** Which metrics are wanted. */
export type Asked = (metric: { readonly name: string }) => boolean

/** Callbacks of a merge. They must not throw. */
export interface MergeObserver {
  /** A contribution cannot be read. */
  readonly unreadable: (error: unknown) => void
  /** A metric of a process is left out, for a younger process has another one of that name. @param id of the process */
  readonly refused: (id: string, metric: string) => void
}

/**
 * The metrics of several processes as one, in the order in which the youngest process has them. One process after the
 * other is read, so there is room for one in memory.
 * @param isAsked which metrics
 */
export async function merge (parts: readonly Part[], isAsked: Asked, observer: MergeObserver): Promise<MergedFamily[]> {
  const families = familiesOf(parts, isAsked)
  for (const part of parts) {
    try {
      for (const contributed of await part.file.families()) {
        const { definition } = contributed
        const family = families.get(definition.name)
        if (family === undefined || contributed.size === 0 || (part.isEnded && isMomentary(definition))) continue
        if (!isSame(definition, family.definition)) {
          observer.refused(part.file.head.id, definition.name)
          continue
        }
        await pause()
        for (const pausing of family.add(contributed, part.process)) await (pausing ?? pause())
      }
    } catch (error) {
      observer.unreadable(error)
    }
  }
  return [...families.values()].filter(({ definition, size }) => size > 0 || definition.merge !== 'omit')
}

function familiesOf (parts: readonly Part[], isAsked: Asked): Map<string, MergedFamily> {
  const heads = parts.flatMap(({ file, isEnded }) => file.head.families.filter(({ definition }) => !(isEnded && isMomentary(definition))))
  // Another library's metric without series does not say which labels and bounds it has.
  const says = ({ definition, size }: FamilyHead) => Number(size > 0 || !definition.isLoose)
  // Those that are the same age stand in the order of their contributions.
  const all = heads.sort((a, b) => says(b) - says(a) || b.definition.since - a.definition.since).map(({ definition }) => definition)
  const youngest = new Map<string, Definition>()
  for (const definition of all) {
    if (isAsked(definition) && !youngest.has(definition.name)) youngest.set(definition.name, definition)
  }
  const labels = new Map<string, Set<string>>()
  for (const definition of all) {
    const chosen = youngest.get(definition.name)
    if (chosen === undefined || !isSame(definition, chosen)) continue
    const known = labels.get(definition.name) ?? new Set(chosen.labels)
    labels.set(definition.name, known)
    for (const label of definition.labels) known.add(label)
  }
  return new Map([...youngest].map(([name, definition]) => [name, new MergedFamily(definition, [...labels.get(name) ?? definition.labels])]))
}
