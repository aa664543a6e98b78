import { renameSync, writeFileSync } from 'node:fs'
import { access, chmod, rename, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { isMetricName } from '../metrics/index.js'
import { Contributions } from './contribution.js'
import type { Contributors, Request } from './contributors.js'
import { Ledger } from './ledger.js'
import { MeetingPlace } from './meeting-place.js'
import type { MergeObserver } from './merge.js'

/** The line that asks a member: for what, the milliseconds that it may take, and what of it was left out the last time. */
const REQUEST = /^(contribute|look|glance) (\d+) (.*)\n$/
/** Each has what those before it have. */
const REQUESTS: readonly Request[] = ['glance', 'look', 'contribute']
const LONGEST_REQUEST = 10_000
/** Milliseconds that nobody needs more of. */
const LONGEST_READING = 60_000

/**
 * @param milliseconds that metrics may take to be read
 * @param refused the names of metrics that were left out the last time
 */
export function requestOf (request: Request, milliseconds: number, refused: Iterable<string> = []): string {
  return `${request} ${Math.floor(milliseconds)} ${[...refused].join(' ').slice(0, LONGEST_REQUEST / 2)}`
}
/**
 * Milliseconds in which somebody who lives is expected to take a connection. Only who does not is asked a second time.
 */
const ALIVE = 1000
/** Milliseconds that metrics may take to be read when nobody waits for them. */
const READING = 1000

/** The members of this process that are to write what they have when it ends. */
const leaving = new Set<() => void>()

function leaveAll (): void {
  for (const leave of leaving) leave()
}

function onExit (leave: () => void): void {
  if (leaving.size === 0) process.on('exit', leaveAll)
  leaving.add(leave)
}

function offExit (leave: () => void): void {
  if (leaving.delete(leave) && leaving.size === 0) process.off('exit', leaveAll)
}

/** Callbacks of a member. They must not throw. */
export interface MemberObserver extends MergeObserver {
  /** Something of the directory failed. What this process counts is safe, but the others do not see it. */
  readonly failed: (error: unknown) => void
  /** Another process leaves out a metric of this one. */
  readonly leftOut: (metric: string) => void
}

/** One process, or thread, among those that meet in a directory. */
export class Member {
  readonly id = MeetingPlace.newId()
  readonly #place: MeetingPlace
  readonly #contributors: Contributors
  readonly #observer: MemberObserver
  readonly #ledger: Ledger
  readonly #contributions = new Contributions(this.id)
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #timer: NodeJS.Timeout | undefined
  /** The write that is under way. */
  #writing: Promise<void> = Promise.resolve()
  #isWriting = false
  /** Whether the last write failed: then even what is unchanged is written again. */
  #isBehind = true
  /** What could not be written. */
  #unwritten: Buffer | undefined
  /** Whether the others see it. */
  #isIn = false
  /** Those who asked while a contribution was being read, and the contribution that will be theirs. */
  #next: Promise<void> | undefined
  /** What that is of: the most that any of them asked for. */
  #nextRequest: Request = 'glance'
  #isClosed = false
  #isRetired = false
  readonly #exit = () => this.#writeLast()

  constructor (place: MeetingPlace, contributors: Contributors, observer: MemberObserver) {
    this.#place = place
    this.#contributors = contributors
    this.#observer = observer
    this.#ledger = new Ledger(place, observer)
  }

  /**
   * Begins: from then on others see it. Where the directory cannot be used, it tries again later. Never rejects.
   * @param interval milliseconds between two writes of what has changed
   */
  async begin (interval: number): Promise<void> {
    onExit(this.#exit)
    this.#timer = setInterval(() => { this.#flush() }, interval).unref()
    this.#flush()
    await this.#writing
  }

  /** Whether the others see it: else it is alone. */
  get isIn (): boolean {
    return this.#isIn
  }

  /** What it has and could not write; undefined if all is written. */
  get unwritten (): Buffer | undefined {
    return this.#unwritten
  }

  /** Writes what has changed. From then on it does not come back where the directory is removed. Never rejects. */
  async retire (): Promise<void> {
    this.#isRetired = true
    await this.#writing
    this.#flush()
    await this.#writing
  }

  /** Comes back, for others to see. */
  resume (): void {
    this.#isRetired = false
  }

  /** Ends as a process does: what it has counted stays. */
  async end (): Promise<void> {
    if (this.#isClosed) return
    clearInterval(this.#timer)
    offExit(this.#exit)
    await this.#writing
    this.#writeLast()
    this.#isClosed = true
    this.#isIn = false
    this.#hangUp()
  }

  /**
   * Reads all that this process has, and writes it. Never rejects. Those who ask meanwhile share the next one.
   * @param milliseconds that metrics may take to be read
   */
  contribute (request: Request, milliseconds: number): Promise<void> {
    if (REQUESTS.indexOf(request) > REQUESTS.indexOf(this.#nextRequest)) this.#nextRequest = request
    this.#next ??= this.#writing.then(async () => {
      const request = this.#nextRequest
      this.#next = undefined
      this.#nextRequest = 'glance'
      this.#isWriting = true
      this.#writing = this.#contribute(request, milliseconds)
      await this.#writing
      this.#isWriting = false
    })
    return this.#next
  }

  /** Takes in those that ended, and gives those who come their numbers. Never rejects. */
  async fold (ended: ReadonlySet<string>, coming: readonly string[]): Promise<void> {
    try {
      await this.#ledger.change(this.id, ended, coming)
    } catch (error) {
      this.#observer.failed(error)
    }
  }

  /** Those of the directory that do not live any more. */
  async #ended (): Promise<Set<string>> {
    const { members } = await this.#place.list()
    const ended = new Set<string>()
    await Promise.all([...members].map(async ([id, names]) => {
      if (id !== this.id && await this.#place.stateOf(id, names, ALIVE) === 'ended') ended.add(id)
    }))
    return ended
  }

  async #enter (): Promise<void> {
    await this.#place.open()
    this.#hangUp()
    // Whoever has a file and a socket that refuses has ended. So the socket comes first.
    const server = createServer((socket) => this.#answer(socket))
    // Node removes the file that it listens on, when it closes and when a thread is terminated. Then nobody could see
    // whether the process has ended or the file was removed. So the file gets another name.
    const draft = this.#place.file(`${this.id}.sock.tmp`)
    // Not the primary of a cluster, which would live on, but this process itself.
    this.#server = server.listen({ path: draft, exclusive: true }).unref()
    await once(server, 'listening')
    await chmod(draft, 0o600)
    await rename(draft, this.#place.file(`${this.id}.sock`))
    server.on('error', (error) => this.#observer.failed(error))
    await this.#ledger.change(this.id, await this.#ended(), [this.id])
    this.#isIn = true
    this.#isBehind = true
  }

  #hangUp (): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server?.close()
  }

  async #contribute (request: Request, milliseconds: number): Promise<void> {
    try {
      await this.#write(this.#contributions.next(await this.#contributors.all(milliseconds, request), undefined, this.#isBehind))
    } catch (error) {
      this.#observer.failed(error)
    }
  }

  /** Writes what has changed. */
  #flush (): void {
    if (this.#isWriting) return
    this.#isWriting = true
    this.#writing = this.#flushNow().finally(() => { this.#isWriting = false })
  }

  async #flushNow (): Promise<void> {
    try {
      // Somebody may have removed the socket, or the whole directory.
      if (this.#isIn) await access(this.#place.file(`${this.id}.sock`)).catch(() => { this.#isIn = false })
      const isNew = !this.#isIn
      if (isNew && this.#isRetired) return
      if (isNew) await this.#enter()
      await this.#write(this.#contributions.next(isNew ? await this.#contributors.all(READING) : this.#contributors.now(), undefined, this.#isBehind))
    } catch (error) {
      this.#observer.failed(error)
    }
  }

  async #write (bytes: Buffer | undefined): Promise<void> {
    if (bytes === undefined || this.#isClosed) return
    const draft = this.#place.file(`${this.id}.snap.tmp`)
    this.#isBehind = true
    try {
      await writeFile(draft, bytes, { mode: 0o600 })
      await rename(draft, this.#place.file(`${this.id}.snap`))
    } catch (error) {
      this.#unwritten = Buffer.from(bytes)
      throw error
    }
    this.#isBehind = false
    this.#unwritten = undefined
  }

  /**
   * When the process ends there is no time to wait. The name is another one: a write that is under way may end later.
   */
  #writeLast (): void {
    try {
      if (!this.#isIn) return
      const bytes = this.#contributions.next(this.#contributors.now(), undefined, true) as Buffer
      const draft = this.#place.file(`${this.id}.last.tmp`)
      writeFileSync(draft, bytes, { mode: 0o600 })
      renameSync(draft, this.#place.file(`${this.id}.last.snap`))
    } catch (error) {
      this.#observer.failed(error)
    }
  }

  #answer (socket: Socket): void {
    this.#sockets.add(socket)
    socket.unref()
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => {})
    let request = ''
    socket.setEncoding('utf8').on('data', (text: string) => {
      request += text
      const [, asked, milliseconds, refused = ''] = REQUEST.exec(request) ?? []
      if (milliseconds === undefined) {
        if (request.length > LONGEST_REQUEST) socket.destroy()
        return
      }
      request = ''
      for (const metric of refused.split(' ')) if (isMetricName(metric)) this.#observer.leftOut(metric)
      this.contribute(asked as Request, Math.min(Number(milliseconds), LONGEST_READING)).then(() => socket.end('done\n'), () => socket.destroy())
    })
  }
}
