import { errorMonitor } from 'node:events'
import { Activity, overlayMethod, type DatabaseRecorder } from '../../src/adapter.js'
import type { Connection, Method } from './driver.js'
import { Statements } from './statements.js'

/** The methods that end a connection. `_realEnd` is how a pool ends its own. */
const ENDS = ['_realEnd', 'destroy', 'close']
/** Both send a statement: the second takes the place of the first once the connection is closed. */
const SENDS = ['addCommand', '_addCommandClosedState'] as const

/** One connection, in the list of uses while it is out of its pool. */
class Watched extends Activity {
  closed = false
  restore: () => void = () => {}
}

/** The connections of one pool, or one connection that was made alone. */
export class Connections {
  readonly #recorder: DatabaseRecorder
  readonly #known = new WeakMap<Connection, Watched>()
  readonly #open = new Set<Watched>()

  constructor (recorder: DatabaseRecorder) {
    this.#recorder = recorder
  }

  has (connection: Connection): boolean {
    return this.#known.has(connection)
  }

  /** Observes a connection. One that is not open yet began to open just now. */
  add (connection: Connection): void {
    if (this.#known.has(connection)) return
    const recorder = this.#recorder
    const watched = new Watched(0)
    this.#known.set(connection, watched)
    this.#open.add(watched)
    const began = recorder.now()
    const statements = new Statements(recorder, connection)
    // The `end` of a pool's connection releases it.
    const isPooled = connection._pool !== undefined
    let isOpen = connection.authorized
    if (isOpen) recorder.connectionOpened()

    const opened = () => {
      isOpen = true
      if (recorder.active) recorder.connectionOpened(began)
    }
    const failed = (error: unknown) => {
      statements.failed(error)
      // A connection that is lost in a statement, or in use, is the error of whoever uses it.
      if (!isOpen || (isPooled && watched.list === undefined && !watched.closed)) recorder.connectionFailed(error)
    }
    const closed = () => {
      if (isOpen) this.#closed(watched)
      recorder.connectionEnded(connection)
      this.#used(watched)
      this.#open.delete(watched)
    }
    const restores = [
      listen(connection, 'connect', opened),
      listen(connection, errorMonitor, failed),
      listen(connection.stream, 'close', closed),
      ...SENDS.map((name) => overlayMethod(connection, name, (under) => function (...args) {
        return recorder.active ? statements.send(this, under[name], args) : Reflect.apply(under[name], this, args)
      })),
      ...[...ENDS, ...isPooled ? [] : ['end']].map((name) => overlayMethod(connection, name, (under) => (...args) => {
        this.#used(watched)
        if (isOpen) this.#closed(watched)
        return Reflect.apply(under[name] as Method, connection, args)
      })),
      overlayMethod(connection, 'release', (under) => (...args) => {
        this.#used(watched)
        return Reflect.apply(under.release, connection, args)
      })
    ]
    watched.restore = () => { for (const restore of restores) restore() }
  }

  /** A connection was taken out of its pool. */
  acquired (connection: Connection): void {
    const watched = this.#known.get(connection)
    if (watched === undefined) return
    watched.end()
    watched.at = this.#recorder.now()
    this.#recorder.metrics.uses.add(watched)
  }

  restore (): void {
    for (const watched of this.#open) {
      watched.end()
      watched.restore()
    }
    this.#open.clear()
  }

  #closed (watched: Watched): void {
    if (watched.closed) return
    watched.closed = true
    this.#recorder.connectionClosed()
  }

  #used (watched: Watched): void {
    if (watched.list === undefined) return
    watched.end()
    this.#recorder.connectionUsed(watched.at)
  }
}

function listen (emitter: Connection['stream'], event: string | symbol, listener: (argument: unknown) => void): () => void {
  emitter.on(event, listener)
  return () => { emitter.removeListener(event, listener) }
}
