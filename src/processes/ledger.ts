import { link, rm, stat, writeFile } from 'node:fs/promises'
import { all } from '../exposition/index.js'
import { ContributionFile } from './contribution-file.js'
import { Contributions, NoContribution } from './contribution.js'
import { isRecord } from '../validation/given.js'
import { MeetingPlace, ledgerName, type Listing } from './meeting-place.js'
import { isMomentary } from './definition.js'
import { merge, type MergeObserver, type Part } from './merge.js'

/** What the ledger says beside what the ended have counted. */
export interface Entries {
  /**
   * Those whose counts are in it, with the time when they came in, in milliseconds since the epoch: their files are not
   * to be counted again.
   */
  readonly folded: Readonly<Record<string, number>>
  /** The numbers of those who live: the label `process`. */
  readonly slots: Readonly<Record<string, number>>
  /** How many have ended. */
  readonly ended: number
}

const NOBODY: Entries = { folded: {}, slots: {}, ended: 0 }
/** Milliseconds for which a name is kept after its files are gone: a write of its last moment may come late. */
const LATE = 600_000
/** Milliseconds after which nobody makes a draft any more. */
const ABANDONED = 60_000
/** So many others may be faster, one after the other. */
const MOST_TRIES = 200

/** A ledger, opened. */
export interface OpenLedger {
  readonly number: number
  readonly entries: Entries
  readonly file: ContributionFile | undefined
}

/**
 * Opens the ledger. One that was damaged has nobody, and the next that is written takes its place.
 * @returns undefined if it was replaced meanwhile
 */
export async function openLedger (place: MeetingPlace, number: number, unreadable: (error: unknown) => void): Promise<OpenLedger | undefined> {
  if (number === 0) return { number, entries: NOBODY, file: undefined }
  try {
    const file = await ContributionFile.open(place.file(ledgerName(number)))
    return file && { number, entries: entriesOf(file.head.extra), file }
  } catch (error) {
    if (!(error instanceof NoContribution)) throw error
    unreadable(error)
    return { number, entries: NOBODY, file: undefined }
  }
}

function entriesOf (extra: unknown): Entries {
  const { folded, slots, ended } = isRecord(extra) ? extra : {}
  return isNumbers(folded) && isNumbers(slots) && typeof ended === 'number' ? { folded, slots, ended } : NOBODY
}

function isNumbers (value: unknown): value is Record<string, number> {
  return isRecord(value) && Object.values(value).every((each) => typeof each === 'number')
}

/**
 * Some of those in the directory, whoever came in first being first: beyond maxSeries it is they whose series stay.
 * @param members by id
 */
export function inOrder<T> (members: ReadonlyMap<string, T>, { slots }: Entries): Array<readonly [id: string, T]> {
  const order = new Map(Object.keys(slots).map((id, i) => [id, i]))
  return [...members].sort(([a], [b]) => (order.get(a) ?? Infinity) - (order.get(b) ?? Infinity) || (a < b ? -1 : 1))
}

/**
 * Changes who is who, and takes in those that ended. Whoever writes the next number first has changed it; all others
 * look again. So two may do it at once, and who dies in the middle leaves nothing half done.
 */
export class Ledger {
  readonly #place: MeetingPlace
  readonly #observer: MergeObserver

  constructor (place: MeetingPlace, observer: MergeObserver) {
    this.#place = place
    this.#observer = observer
  }

  /**
   * Takes in those that ended, and gives those who come the smallest numbers that nobody has.
   * @param id of whoever does it
   * @returns the numbers of those who live
   */
  async change (id: string, ended: ReadonlySet<string>, coming: readonly string[] = []): Promise<Entries['slots']> {
    for (let i = 0; i < MOST_TRIES; i++) {
      const slots = await this.#try(id, await this.#place.list(), ended, coming)
      if (slots !== undefined) return slots
    }
    throw new Error(`the ledger was changed by others ${MOST_TRIES} times in a row`)
  }

  /** @returns undefined if somebody else was faster */
  async #try (id: string, listing: Listing, ended: ReadonlySet<string>, coming: readonly string[]): Promise<Entries['slots'] | undefined> {
    const place = this.#place
    const opened: ContributionFile[] = []
    try {
      const ledger = await openLedger(place, listing.ledger, (error) => this.#observer.unreadable(error))
      if (ledger === undefined) return undefined
      if (ledger.file !== undefined) opened.push(ledger.file)
      const { entries } = ledger
      const parts: Part[] = ledger.file === undefined ? [] : [{ file: ledger.file, process: '', isEnded: true }]
      const gone = inOrder(listing.members, entries).map(([each]) => each).filter((each) => ended.has(each))
      for (const each of gone) {
        if (entries.folded[each] !== undefined) continue
        const file = await openNewest(place, listing.members.get(each) ?? [], (error) => this.#observer.unreadable(error))
        if (file === 'gone') return undefined
        if (file === undefined) continue
        opened.push(file)
        parts.push({ file, process: '', isEnded: true })
      }
      const merged = await merge(parts, all, this.#observer)
      const now = Date.now()
      const folded = Object.fromEntries([
        ...Object.entries(entries.folded).filter(([each, time]) => listing.members.has(each) || now - time < LATE),
        ...gone.filter((each) => entries.folded[each] === undefined).map((each) => [each, now] as const)
      ])
      const slots = Object.fromEntries(Object.entries(entries.slots).filter(([each]) => !ended.has(each) && listing.members.has(each)))
      for (const each of coming) slots[each] ??= smallestFree(slots)
      const next: Entries = { folded, slots, ended: entries.ended + parts.length - (ledger.file === undefined ? 0 : 1) }
      const bytes = new Contributions('ledger').next(merged.filter(({ definition }) => !isMomentary(definition)).map((family) => family.contributor()), next, true) as Buffer
      if (!await this.#put(id, listing.ledger + 1, bytes)) return undefined
      await Promise.all([
        ...gone.flatMap((each) => [...listing.members.get(each) ?? [], `${each}.sock`]),
        ...await this.#abandoned(listing.drafts),
        ...listing.old,
        ...listing.ledger === 0 ? [] : [ledgerName(listing.ledger)]
      ].map((name) => rm(place.file(name), { force: true })))
      return slots
    } finally {
      await Promise.all(opened.map((file) => file.close()))
    }
  }

  async #abandoned (drafts: readonly string[]): Promise<string[]> {
    const now = Date.now()
    const times = await Promise.all(drafts.map((name) => stat(this.#place.file(name)).then(({ mtimeMs }) => mtimeMs, () => now)))
    return drafts.filter((_, i) => now - (times[i] as number) > ABANDONED)
  }

  /** @returns whether this is the ledger now */
  async #put (id: string, number: number, bytes: Buffer): Promise<boolean> {
    const place = this.#place
    const draft = place.file(`${id}.ledger.tmp`)
    await writeFile(draft, bytes, { mode: 0o600 })
    try {
      await link(draft, place.file(ledgerName(number)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    } finally {
      await rm(draft, { force: true })
    }
    // Who looked long ago may have taken a number that was used and removed: there is a higher one then.
    const { ledger } = await place.list()
    if (ledger === number) return true
    await rm(place.file(ledgerName(number)), { force: true })
    return false
  }
}

function smallestFree (slots: Entries['slots']): number {
  const taken = new Set(Object.values(slots))
  let slot = 0
  while (taken.has(slot)) slot++
  return slot
}

/**
 * The newest of a member's contributions.
 * @returns undefined if it has none that can be read, 'gone' if one was removed meanwhile
 */
export async function openNewest (place: MeetingPlace, names: readonly string[], unreadable: (error: unknown) => void): Promise<ContributionFile | 'gone' | undefined> {
  let newest: ContributionFile | undefined
  for (const name of names) {
    let file: ContributionFile | undefined
    try {
      file = await ContributionFile.open(place.file(name))
    } catch (error) {
      unreadable(error)
      continue
    }
    if (file === undefined) {
      await newest?.close()
      return 'gone'
    }
    const [older, younger] = newest !== undefined && newest.head.sequence > file.head.sequence ? [file, newest] : [newest, file]
    await older?.close()
    newest = younger
  }
  return newest
}
