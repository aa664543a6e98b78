import type { Live, Sample } from '../shape.js'
import type { ConnectionState } from './words.js'

/** Who is told what came. */
export interface Listener {
  live: (live: Live) => void
  sample: (sample: Sample) => void
  state: (state: ConnectionState) => void
}

/** The version of Live that this page understands. */
const VERSION = 1
const TICK = 1000
/** The page asks for the whole at most so often where no events come. */
const LEAST_ASKING = 5000
const RETRY = 30_000
const HIDDEN = 60_000
/** A timer that is this late tells that the computer slept. */
const SLEPT = 15_000
const ANSWER = 20_000
/** Events that have not come by then may be held back on their way: the page asks, so as not to stay empty, until they come. */
const FIRST = 2000

/** Listens to the events of the service. Asks for live.json again and again where events do not come through. */
export class Connection {
  readonly #address: string
  readonly #listener: Listener
  #query = ''
  #interval = 1000
  #source: EventSource | null = null
  /** Since when the events are waited for: their opening, or the last one. */
  #waiting = 0
  #retryAt = 0
  #asking = false
  #askAt = 0
  #question: AbortController | null = null
  #heard: number | null = null
  /** Whether anything came since the last question was put. */
  #answered = false
  #broken = false
  #why: string | null = null
  #ticked = Date.now()
  #hiddenSince: number | null = null
  #told = ''

  /** @param address where the page is, as the last segment of its path */
  constructor (address: string, listener: Listener) {
    this.#address = address
    this.#listener = listener
    document.addEventListener('visibilitychange', () => { this.#visibility() })
    addEventListener('online', () => { this.#reconnect() })
    setInterval(() => { this.#tick() }, TICK)
  }

  /** Asks for this from now on. */
  ask (query: string): void {
    this.#query = query
    this.#reconnect()
  }

  #reconnect (): void {
    this.#question?.abort()
    this.#question = null
    this.#askAt = 0
    this.#answered = false
    this.#open()
    this.#tick()
  }

  #open (): void {
    this.#close()
    const source = new EventSource(`${this.#address}/events${this.#query}`)
    this.#source = source
    this.#waiting = Date.now()
    source.addEventListener('live', (event) => { this.#event(source, () => { this.#live(JSON.parse(event.data)) }) })
    source.addEventListener('sample', (event) => {
      this.#event(source, () => {
        const sample = JSON.parse(event.data) as Sample
        this.#interval = sample.about.interval
        this.#listener.sample(sample)
      })
    })
    source.addEventListener('error', () => {
      if (this.#source !== source) return
      this.#broken = true
      if (source.readyState === EventSource.CLOSED) this.#giveUp()
    })
  }

  #close (): void {
    this.#source?.close()
    this.#source = null
  }

  /** No events come: asks instead, and tries the events again later. */
  #giveUp (): void {
    this.#close()
    this.#retryAt = Date.now() + RETRY
    if (this.#asking) return
    this.#asking = true
    this.#askAt = 0
    this.#tick()
  }

  #event (source: EventSource, take: () => void): void {
    if (this.#source !== source) return
    this.#waiting = Date.now()
    this.#asking = false
    this.#question?.abort()
    this.#question = null
    try {
      take()
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#hear()
  }

  #live (live: Live): void {
    if ((live.version as number) !== VERSION) throw new Refused('the service has a newer page; load it again')
    this.#interval = live.about.interval
    this.#listener.live(live)
  }

  #hear (): void {
    this.#heard = Date.now()
    this.#answered = true
    this.#broken = false
    this.#why = null
    this.#tell()
  }

  #fail (error: unknown): void {
    this.#broken = true
    this.#why = error instanceof Refused ? error.message : null
    this.#tell()
  }

  async #get (): Promise<void> {
    const question = new AbortController()
    this.#question = question
    const late = setTimeout(() => { question.abort() }, ANSWER)
    try {
      const answer = await fetch(withoutPassword(`${this.#address}.json${this.#query}`), { signal: question.signal, cache: 'no-store', headers: { accept: 'application/json' } })
      if (!answer.ok) throw new Refused(`the service answers ${answer.status}`)
      if (!(answer.headers.get('content-type') ?? '').includes('json')) throw new Refused('the answer is another page; is a login needed?')
      const live = await answer.json() as Live
      if (this.#question !== question) return
      if (this.#broken) this.#retryAt = Math.min(this.#retryAt, Date.now() + LEAST_ASKING)
      this.#live(live)
      this.#hear()
    } catch (error) {
      if (this.#question !== question) return
      this.#fail(error)
    } finally {
      clearTimeout(late)
      if (this.#question === question) this.#question = null
    }
  }

  #tick (): void {
    const now = Date.now()
    const slept = now - this.#ticked > SLEPT && !document.hidden
    this.#ticked = now
    if (this.#hiddenSince !== null && now - this.#hiddenSince > HIDDEN) {
      this.#close()
      return
    }
    if (slept) {
      this.#reconnect()
      return
    }
    if (this.#source !== null && now - this.#waiting > 3 * this.#interval + 5000) this.#giveUp()
    if (this.#source === null && now >= this.#retryAt) this.#open()
    if (!this.#answered && now - this.#waiting > FIRST) this.#asking = true
    if (this.#asking && this.#question === null && now >= this.#askAt) {
      this.#askAt = now + this.#every
      this.#get().catch(() => undefined)
    }
    this.#tell()
  }

  #visibility (): void {
    if (document.hidden) {
      this.#hiddenSince = Date.now()
      return
    }
    const away = this.#hiddenSince === null ? 0 : Date.now() - this.#hiddenSince
    this.#hiddenSince = null
    this.#ticked = Date.now()
    if (this.#source?.readyState !== EventSource.OPEN || away > HIDDEN || Date.now() - this.#waiting > 3 * this.#interval) this.#reconnect()
  }

  get #every (): number {
    return Math.max(this.#interval, LEAST_ASKING)
  }

  #state (): ConnectionState {
    if (this.#heard === null) return this.#broken ? { kind: 'lost', since: null, why: this.#why } : { kind: 'connecting' }
    const every = this.#asking ? this.#every : this.#interval
    const patience = this.#broken ? every + 2000 : 3 * every + 5000
    if (Date.now() - this.#heard > patience) return { kind: 'lost', since: this.#heard, why: this.#why }
    return this.#asking ? { kind: 'asking', every } : { kind: 'live' }
  }

  #tell (): void {
    const state = this.#state()
    const told = JSON.stringify(state)
    if (told === this.#told) return
    this.#told = told
    this.#listener.state(state)
  }
}

/** The service answered, but with no numbers. */
class Refused extends Error {}

/**
 * The whole address of a relative one. Of a page whose own address has a name and a password, fetch() refuses relative ones;
 * the browser knows the password all the same.
 */
function withoutPassword (address: string): string {
  const whole = new URL(address, location.href)
  whole.username = ''
  whole.password = ''
  return whole.href
}
