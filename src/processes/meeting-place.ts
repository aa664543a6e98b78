import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { obstacleOf, unusable } from './obstacle.js'

/*
 * The directory where processes meet:
 *
 *   <id>.sock            a listening socket: as long as its process lives, somebody answers; a connection is refused after
 *   <id>.snap            what the process has counted; <id>.last.snap, what it had when it ended
 *   ledger-<number>.snap what the ended have counted, and who is who; the highest number is right
 *   <id>.*.tmp           what is being made; it gets its name when it is whole
 *
 * A process id is never asked: it may come back.
 */

/** How a process answers. 'ended': its socket refuses. 'silent': it does not say anything in time. */
export type State = 'live' | 'silent' | 'ended'

/** A question that was asked. */
export interface Question {
  /** Never rejects. */
  readonly answer: Promise<State>
  /** Nothing waits for the answer from now on: the process may end. */
  readonly unref: () => void
  readonly drop: () => void
}

/** What is in the directory. */
export interface Listing {
  /** Those who have a socket or a contribution, with the names of their contributions. */
  readonly members: ReadonlyMap<string, readonly string[]>
  /** The number of the ledger; 0 if there is none. */
  readonly ledger: number
  /** What nobody needs any more: older ledgers. */
  readonly old: readonly string[]
  /** What is being made, or was by somebody who was killed meanwhile. */
  readonly drafts: readonly string[]
}

/** A path of a Unix socket has at most so many bytes, on Linux and on macOS, with the 0 at its end. */
const LONGEST_SOCKET = 104
const ID = 16
const FILE = /^(?:([\w-]{16})\.(sock|snap|last\.snap|\w+\.tmp)|ledger-(\d+)\.snap)$/

export class MeetingPlace {
  readonly path: string

  constructor (path: string) {
    this.path = path
  }

  /** A name that never comes again. */
  static newId (): string {
    return randomBytes(ID * 3 / 4).toString('base64url')
  }

  file (name: string): string {
    return join(this.path, name)
  }

  /**
   * Makes the directory, for its owner alone, if it is not there.
   * @throws MetricsError FP_ERR_PROCESSES when it cannot be used, with what to do
   */
  async open (): Promise<void> {
    const longest = Buffer.byteLength(this.file(`${'x'.repeat(ID)}.sock.tmp`)) + 1
    if (longest > LONGEST_SOCKET) throw unusable(this.path, `its path is ${longest - LONGEST_SOCKET} bytes too long for a Unix socket; give a shorter one`)
    await mkdir(this.path, { recursive: true, mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'EEXIST' || error.code === 'ENOTDIR' ? unusable(this.path, 'it is no directory; give a directory') : obstacleOf(this.path, error)
    })
    const found = await lstat(this.path)
    if (!found.isDirectory()) throw unusable(this.path, 'it is no directory; give a directory')
    const user = process.getuid?.()
    if (user !== undefined && found.uid !== user) throw unusable(this.path, `it belongs to user ${found.uid}, and this process runs as user ${user}; give each user a directory of its own`)
    if ((found.mode & 0o022) !== 0) throw unusable(this.path, `others may write to it; run: chmod 700 ${this.path}`)
  }

  async list (): Promise<Listing> {
    const members = new Map<string, string[]>()
    const ledgers: number[] = []
    const drafts: string[] = []
    for (const name of await readdir(this.path)) {
      const [, id, kind, ledger] = FILE.exec(name) ?? []
      if (ledger !== undefined) ledgers.push(Number(ledger))
      if (id === undefined) continue
      if (kind?.endsWith('.tmp') === true) {
        drafts.push(name)
        continue
      }
      const snaps = members.get(id) ?? []
      members.set(id, snaps)
      if (kind === 'snap' || kind === 'last.snap') snaps.push(name)
    }
    const ledger = Math.max(0, ...ledgers)
    return { members, ledger, old: ledgers.filter((number) => number < ledger).map(ledgerName), drafts }
  }

  /**
   * Asks a member for something, for as long as it takes.
   * @param names of its contributions
   * @param request a line; undefined to learn only whether it lives
   */
  question (id: string, names: readonly string[], request: string | undefined): Question {
    // Nobody removes a socket but who takes in what the ended have counted. So somebody else did, and the process may
    // live.
    const hasLast = names.includes(`${id}.last.snap`)
    const socket = connect(this.file(`${id}.sock`))
    const answer = new Promise<State>((resolve) => {
      const end = (state: State) => {
        socket.destroy()
        resolve(state)
      }
      socket.on('error', ({ code }: NodeJS.ErrnoException) => end(code === 'ECONNREFUSED' || (code === 'ENOENT' && hasLast) ? 'ended' : 'silent'))
      socket.on('connect', () => {
        if (request === undefined) return end('live')
        socket.write(`${request}\n`)
      })
      socket.on('data', () => end('live'))
      // It hung up without an answer: it is about to end, and has written what it had.
      socket.on('close', () => end('silent'))
    })
    return { answer, unref: () => { socket.unref() }, drop: () => { socket.destroy() } }
  }

  /** Whether a member lives. @param milliseconds in which who lives takes a connection */
  async stateOf (id: string, names: readonly string[], milliseconds: number): Promise<State> {
    const { answer, drop } = this.question(id, names, undefined)
    return await inTime(answer, milliseconds).finally(drop)
  }
}

/** What answers in time; 'silent' if it does not. */
export async function inTime (answer: Promise<State>, milliseconds: number): Promise<State> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<State>((resolve) => { timer = setTimeout(() => resolve('silent'), milliseconds) })
  return await Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

export function ledgerName (number: number): string {
  return `ledger-${number}.snap`
}
