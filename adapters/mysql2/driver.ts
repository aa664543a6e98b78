import type { EventEmitter } from 'node:events'
import { holds } from '../../src/adapter.js'

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
  readonly _addCommandClosedState?: Method
  /** What is told when the connection is lost, before its commands are. */
  readonly _notifyError?: Method
  readonly stream: EventEmitter & { readonly destroyed?: boolean }
  /** Whether the server has let it in. */
  readonly authorized: boolean
  readonly _closing?: boolean
  readonly _fatalError?: unknown
  /** The command under way, if there is one. */
  readonly _command?: object | null
  /** The pool, of a connection that is in one. */
  readonly _pool?: object | null
  readonly config?: { readonly gracefulEnd?: boolean }
  readonly release?: Method
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
  of: Method
  readonly _namespaces: Readonly<Record<string, Namespace>>
  readonly _nodes: Readonly<Record<string, { readonly pool: Pool }>>
}

/** Those nodes of a cluster that a pattern names. */
export interface Namespace {
  readonly _cluster: { _findNodeIds (pattern: string, includeOffline: boolean): readonly string[] }
  readonly _pattern: string
  /** The node that a connection is asked of; null if there is none. */
  _getClusterNode: Method
}

/** What addCommand is given: a statement has `sql`, or what was prepared for it; the preparation of one has `query`. */
export interface Command extends EventEmitter {
  readonly sql?: unknown
  readonly query?: unknown
  /** That of a command that executes what was prepared; undefined as long as it is not prepared. */
  readonly statement?: { readonly query?: unknown } | undefined
  onResult?: Method | undefined
}

/** What a statement without rows gives (mysql2/lib/packets/resultset_header.js). */
interface Header {
  readonly affectedRows: number
}

export function isPool (value: unknown): value is Pool {
  const { getConnection, on, config, _allConnections, _freeConnections, _connectionQueue } = shapeOf<Pool>(value)
  return typeof getConnection === 'function' && typeof on === 'function' && typeof config === 'object' &&
    [_allConnections, _freeConnections, _connectionQueue].every((queue) => typeof queue?.get === 'function' && typeof queue.length === 'number')
}

export function isConnection (value: unknown): value is Connection {
  const { addCommand, on, stream } = shapeOf<Connection>(value)
  return typeof addCommand === 'function' && typeof on === 'function' && typeof stream?.on === 'function'
}

/** Whether each node's pool is known too. */
export function isCluster (value: unknown): value is Cluster {
  const { add, _nodes } = shapeOf<Cluster>(value)
  return typeof add === 'function' && typeof _nodes === 'object' && Object.values(_nodes).every((node) => isPool(node.pool))
}

/**
 * The pool, connection or cluster itself. Those of 'mysql2/promise' are wrappers of it, and so is what @fastify/mysql
 * decorates an application with.
 */
export function coreOf (target: unknown, depth = 2): Pool | Connection | Cluster | undefined {
  if (typeof target !== 'object' || target === null) return undefined
  if (holds(() => isCluster(target) || isPool(target) || isConnection(target))) return target as Pool | Connection | Cluster
  if (depth === 0) return undefined
  let core: Pool | Connection | Cluster | undefined
  for (const name of ['pool', 'connection', 'poolCluster']) holds(() => (core ??= coreOf((target as Record<string, unknown>)[name], depth - 1)) !== undefined)
  return core
}

export function isHeader (value: unknown): value is Header {
  return typeof value === 'object' && value !== null && !Array.isArray(value) &&
    typeof (value as Partial<Header>).affectedRows === 'number' && 'serverStatus' in value && 'fieldCount' in value
}

function shapeOf<T> (value: unknown): Partial<T> {
  return typeof value === 'object' && value !== null ? value : {}
}
