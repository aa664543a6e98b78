import { errorMonitor } from 'node:events'
import { Activity, overlayMethod, type DatabaseRecorder } from '../../src/adapter.js'
import type { Connection, Method } from './driver.js'
import { Statements } from './statements.js'

/** Both send a command: the second takes the place of the first once the connection is closed. */
const SENDS = ['addCommand', '_addCommandClosedState'] as const

/** The state of one connection, which is in the list of uses while the connection is out of its pool. */
class Watched extends Activity {
  isOpen = false
  /** Whether it is counted as closed. */
  isClosed = false
  /** Whether the application or the pool has ended it, or its failure is counted. */
  isOver = false
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

  /** @param began when it began to open, if that is known */
  add (connection: Connection, began?: number): void {
    if (this.#known.has(connection)) return
    const recorder = this.#recorder
    const watched = new Watched(0)
    this.#known.set(connection, watched)
    const statements = new Statements(recorder, connection)
    watched.isOver = watched.isClosed = connection._closing === true || connection.stream.destroyed === true
    if (!watched.isOver) {
      this.#open.add(watched)
      watched.isOpen = connection.authorized
      if (watched.isOpen) recorder.connectionOpened()
    }

    const opened = () => {
      watched.isOpen = true
      recorder.connectionOpened(began)
    }
    const failed = (error: unknown) => {
      // The loss of a connection that is in use is the error of its user.
      if (watched.isOver || (watched.isOpen && (watched.list !== undefined || connection._command))) return
      watched.isOver = true
      recorder.connectionFailed(error)
    }
    const closed = () => {
      this.#ended(watched)
      recorder.connectionEnded(connection)
      this.#open.delete(watched)
    }
    const ending = () => {
      watched.isOver = true
      this.#ended(watched)
    }
    const restores = [
      // Before the pool's own listener, which calls the application back.
      listen(connection, 'connect', opened, 'prependListener'),
      listen(connection, errorMonitor, (error) => {
        statements.failed(error)
        failed(error)
      }),
      // After the driver's own listener, which tells the statements.
      listen(connection.stream, 'close', closed),
      overlayMethod(connection, '_notifyError', (under) => function (...args) {
        // The driver notifies once.
        if (!connection._fatalError) {
          statements.lost(args[0])
          failed(args[0])
        }
        return Reflect.apply(under._notifyError, this, args)
      }),
      ...SENDS.map((name) => overlayMethod(connection, name, (under) => function (...args) {
        return recorder.active ? statements.send(this, under[name], args) : Reflect.apply(under[name], this, args)
      })),
      ...endsOf(connection).map((name) => overlayMethod(connection, name, (under) => function (...args) {
        ending()
        try {
          return Reflect.apply(under[name] as Method, this, args)
        } finally {
          showReplaced(connection)
        }
      })),
      overlayMethod(connection, 'release', (under) => function (...args) {
        if (watched.list !== undefined) used(recorder, watched)
        return Reflect.apply(under.release, this, args)
      })
    ]
    watched.restore = () => {
      const isReplaced = replaced(connection)
      for (const restore of restores) restore()
      if (isReplaced) connection.addCommand = connection._addCommandClosedState as Method
    }
  }

  /** A connection was taken out of its pool. @param at when */
  acquired (connection: Connection, at: number): void {
    const watched = this.#known.get(connection)
    if (watched === undefined || watched.list !== undefined) return
    watched.at = at
    this.#recorder.metrics.uses.add(watched)
  }

  restore (): void {
    for (const watched of this.#open) {
      watched.end()
      watched.restore()
    }
    this.#open.clear()
  }

  /** A connection is closed, or will be. From then on nobody uses it, and no pool counts it. */
  #ended (watched: Watched): void {
    if (watched.list !== undefined) used(this.#recorder, watched)
    if (!watched.isOpen || watched.isClosed) return
    watched.isClosed = true
    this.#recorder.connectionClosed()
  }
}

function used (recorder: DatabaseRecorder, watched: Watched): void {
  watched.end()
  recorder.connectionUsed(watched.at)
}

/**
 * The methods that end a connection. A pool ends its own by `_realEnd`; their `end` releases them, unless the
 * application has said that it should not.
 */
function endsOf ({ _pool, config }: Connection): string[] {
  return ['_realEnd', 'destroy', 'close', ..._pool && config?.gracefulEnd !== true ? [] : ['end']]
}

/** mysql2 puts another method in the place of addCommand when a connection ends, as an own property that others see. */
function showReplaced (connection: Connection): void {
  if (replaced(connection)) Object.defineProperty(connection, 'addCommand', { enumerable: true })
}

function replaced (connection: Connection): boolean {
  return Object.hasOwn(connection, '_addCommandClosedState') && connection.addCommand === connection._addCommandClosedState
}

function listen (emitter: Connection['stream'], event: string | symbol, listener: (argument: unknown) => void, how: 'on' | 'prependListener' = 'on'): () => void {
  emitter[how](event, listener)
  return () => { emitter.removeListener(event, listener) }
}
