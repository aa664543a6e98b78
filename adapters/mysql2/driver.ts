import type { EventEmitter } from 'node:events'

/** mysql2 as this adapter sees it. No type is imported from mysql2, so it works with any copy that the application has. */

/** Any method: the driver decides what it takes and what it gives back. */
export type Method = (this: unknown, ...args: unknown[]) => unknown

/** mysql2's ring queue, and denque, which it had before. */
export interface Queue<T> {
  readonly length: number
  get (index: number): T | undefined
}

/** A connection: that of a pool, or one that was made alone. */
export interface Connection extends EventEmitter {
  /** Everything that goes to the server goes this way (mysql2/lib/base/connection.js, addCommand). */
  addCommand: Method
  /** What takes the place of addCommand when the connection is closed. */
  _addCommandClosedState?: Method
  readonly stream: EventEmitter
  /** Whether the server has let it in. */
  readonly authorized: boolean
  /** The pool, of a connection that is in one. */
  readonly _pool?: object | null
  release?: Method
}

export interface Pool extends EventEmitter {
  getConnection: Method
  readonly config: { readonly connectionLimit?: number }
  readonly _allConnections: Queue<Connection>
  readonly _freeConnections: Queue<Connection>
  /** The callbacks that wait for a connection. */
  readonly _connectionQueue: Queue<Method>
  readonly _closed?: boolean
}

export interface Cluster extends EventEmitter {
  add: Method
  readonly _nodes: Readonly<Record<string, { readonly pool: Pool }>>
}

/** What addCommand is given: a statement has `sql`, or what was prepared for it; the preparation of one has `query`. */
export interface Command extends EventEmitter {
  readonly sql?: unknown
  readonly query?: unknown
  readonly statement?: { readonly query?: unknown }
  onResult?: Method | undefined
}

/** What a statement without rows gives (mysql2/lib/packets/resultset_header.js). */
interface Header {
  readonly affectedRows: number
}

export function isHeader (value: unknown): value is Header {
  return typeof value === 'object' && value !== null && !Array.isArray(value) &&
    typeof (value as Partial<Header>).affectedRows === 'number' && 'serverStatus' in value && 'fieldCount' in value
}
