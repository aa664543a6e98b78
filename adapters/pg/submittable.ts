import { disguised, type Query, shadow } from '../../src/adapter.js'
import type { Method, Submittable } from './driver.js'
import type { Recorder } from './recorder.js'

type Handler = 'handleError' | 'handleDataRow' | 'handleCommandComplete' | 'handleReadyForQuery'

/**
 * Records the end of a query that speaks the protocol itself: it listens to what the client tells the query. A cursor's
 * duration is its whole life, with the time that its reader takes.
 */
export function watchSubmittable (recorder: Recorder, started: Query, query: Submittable): 'watched' {
  try {
    if (!new Watch(recorder, started).start(query)) started.end()
  } catch (error) {
    started.end()
    recorder.report(error)
  }
  return 'watched'
}

class Watch {
  readonly #recorder: Recorder
  readonly #started: Query
  readonly #restore: Array<() => void> = []
  #over = false
  /** Rows of the command under way. */
  #rows = 0

  constructor (recorder: Recorder, started: Query) {
    this.#recorder = recorder
    this.#started = started
  }

  /** @returns whether the query's end can be observed */
  start (query: Submittable): boolean {
    this.#listen(query, 'handleError', (original, self, args) => {
      const at = this.#recorder.now()
      try {
        return Reflect.apply(original, self, args)
      } finally {
        // Read after the handler: a native query's error gets its SQLSTATE only there.
        this.#failed(args[0], at)
      }
    })
    this.#listen(query, 'handleDataRow', (original, self, args) => {
      this.#rows++
      return Reflect.apply(original, self, args)
    })
    this.#listen(query, 'handleCommandComplete', (original, self, args) => {
      this.#countRows(rowsInTag(args[0]))
      return Reflect.apply(original, self, args)
    })
    if (typeof query.handleReadyForQuery === 'function') {
      this.#listen(query, 'handleReadyForQuery', (original, self, args) => {
        const at = this.#recorder.now()
        try {
          return Reflect.apply(original, self, args)
        } finally {
          // After the handler: pg reports a row that it could not parse only now, through handleError.
          this.#ended(at)
        }
      })
    } else {
      query.once?.('end', (result) => {
        if (!this.#finish()) return
        this.#recorder.answered(this.#started, result)
      })
    }
    return this.#restore.length > 0 || query.once !== undefined
  }

  #listen (query: Submittable, name: Handler, then: (original: Method, self: unknown, args: unknown[]) => unknown): void {
    const original = query[name]
    if (typeof original !== 'function') return
    this.#restore.push(shadow(query, name, disguised(original, function (this: unknown, ...args: unknown[]) {
      return then(original, this, args)
    })))
  }

  /** @param completed the rows that the server says; for a cursor, only the rows of the last batch */
  #countRows (completed: number | undefined): void {
    if (completed !== undefined || this.#rows > 0) this.#recorder.countRows(this.#started, Math.max(completed ?? 0, this.#rows))
    this.#rows = 0
  }

  #ended (at: number): void {
    if (!this.#finish()) return
    this.#countRows(undefined)
    this.#recorder.querySucceeded(this.#started, undefined, at)
  }

  #failed (error: unknown, at: number): void {
    if (!this.#finish()) return
    this.#countRows(undefined)
    this.#recorder.queryFailed(this.#started, error, at)
  }

  #finish (): boolean {
    if (this.#over) return false
    this.#over = true
    for (const restore of this.#restore) restore()
    return true
  }
}

/** The rows in a CommandComplete message's tag: 'INSERT 0 5', 'SELECT 3', 'COPY 7' (PostgreSQL manual, 53.7). */
function rowsInTag (message: unknown): number | undefined {
  const tag = (message as { text?: unknown } | undefined)?.text
  const rows = typeof tag === 'string' ? / (\d+)$/.exec(tag)?.[1] : undefined
  return rows === undefined ? undefined : Number(rows)
}
