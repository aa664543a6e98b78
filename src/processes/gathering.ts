import { pause } from '../exposition/index.js'
import type { Asking } from './asking.js'
import type { Request } from './contributors.js'
import { ContributionFile } from './contribution-file.js'
import { inOrder, openLedger, openNewest, type OpenLedger } from './ledger.js'
import { requestOf, type Member } from './member.js'
import type { Listing, MeetingPlace, State } from './meeting-place.js'
import { merge, type Asked, type MergeObserver, type Part } from './merge.js'
import type { MergedFamily } from './merged-family.js'

/** Files are removed while they are looked at, when those that ended are taken in. Then it looks again. */
const MOST_TRIES = 50

/** What all processes together have. */
export interface Gathered {
  readonly families: readonly MergedFamily[]
  /** How many processes are in each state; of those that ended, the ones whose counts are kept. */
  readonly states: Readonly<Record<State, number>>
  /** The age of the oldest contribution of those that have not ended, in seconds. */
  readonly oldest: number
  /** Those that ended and are not in the ledger yet. */
  readonly ended: ReadonlySet<string>
  /** Those who live and have no number: the ledger was damaged. */
  readonly unnumbered: readonly string[]
}

/**
 * Asks all processes for what they have, or what somebody wants who only looks, and adds it up. Who does not answer in time is there with what it wrote last.
 * @param milliseconds that a process has to answer
 * @param refused by process, the metrics that were left out the last time: it is told of them
 */
export async function gather (place: MeetingPlace, me: Member, asking: Asking, request: Request, isAsked: Asked, milliseconds: number, refused: ReadonlyMap<string, ReadonlySet<string>>, observer: MergeObserver): Promise<Gathered> {
  const states = new Map<string, State>([[me.id, 'live']])
  const asked = await place.list()
  await Promise.all([
    me.contribute(request, milliseconds),
    ...[...asked.members].filter(([id]) => id !== me.id).map(async ([id, names]) => {
      states.set(id, await asking.ask(id, names, requestOf(request, milliseconds / 2, refused.get(id)), milliseconds))
    })
  ])
  const { ledger, parts, files } = await open(place, me, states, observer)
  try {
    await pause()
    const families = await merge(parts, isAsked, observer)
    const now = Date.now()
    const count = (state: State) => parts.filter(({ file }) => states.get(file.head.id) === state).length
    const written = parts.filter(({ file, isEnded }) => !isEnded && file.head.id !== me.id).map(({ file }) => file.head.written)
    return {
      families,
      states: { live: count('live'), silent: count('silent'), ended: ledger.entries.ended + count('ended') },
      oldest: Math.max(0, ...written.map((time) => now - time)) / 1000,
      ended: new Set([...states].filter(([, state]) => state === 'ended').map(([id]) => id)),
      unnumbered: parts.filter(({ process, isEnded }) => process === '' && !isEnded).map(({ file }) => file.head.id)
    }
  } finally {
    await Promise.all(files.map((file) => file.close()))
  }
}

/** Opens what belongs together: a ledger, and the contributions of those that are not in it. */
async function open (place: MeetingPlace, me: Member, states: ReadonlyMap<string, State>, observer: MergeObserver): Promise<{ ledger: OpenLedger, parts: Part[], files: ContributionFile[] }> {
  for (let i = 0; i < MOST_TRIES; i++) {
    const files: ContributionFile[] = []
    const found = await tryOpen(place, me, await place.list(), states, observer, files)
    if (found !== undefined) return { ...found, files }
    await Promise.all(files.map((file) => file.close()))
  }
  throw new Error(`the directory of the processes has changed ${MOST_TRIES} times while it was read`)
}

async function tryOpen (place: MeetingPlace, me: Member, listing: Listing, states: ReadonlyMap<string, State>, observer: MergeObserver, files: ContributionFile[]): Promise<{ ledger: OpenLedger, parts: Part[] } | undefined> {
  const ledger = await openLedger(place, listing.ledger, (error) => observer.unreadable(error))
  if (ledger === undefined) return undefined
  const parts: Part[] = []
  if (ledger.file !== undefined) {
    files.push(ledger.file)
    parts.push({ file: ledger.file, process: '', isEnded: true })
  }
  for (const [id, names] of inOrder(listing.members, ledger.entries)) {
    if (ledger.entries.folded[id] !== undefined) continue
    const file = id === me.id && me.unwritten !== undefined ? ContributionFile.of(me.unwritten) : await openNewest(place, names, (error) => observer.unreadable(error))
    if (file === 'gone') return undefined
    if (file === undefined) continue
    files.push(file)
    parts.push({ file, process: String(ledger.entries.slots[id] ?? ''), isEnded: states.get(id) === 'ended' })
  }
  // Nobody was taken in, and no file removed, as long as the ledger is the same.
  return (await place.list()).ledger === listing.ledger ? { ledger, parts } : undefined
}
