// An adapter for postgres.js (npm: postgres), which this package does not have. docs/adapters.md explains it.
import { DatabaseRecorder, readDatabaseScope, type DatabaseScope, type Query } from 'fastify-prometheus/adapter'
import type { Sql } from 'postgres'

/** What an adapter needs of a query of postgres.js (its src/query.js). */
interface PostgresQuery {
  readonly strings: readonly string[]
  readonly args: readonly unknown[]
  /** Sends the query. A fragment of another query is a query too, and is never sent. */
  handler: (query: PostgresQuery) => unknown
  resolve: (result: unknown) => unknown
  reject: (error: unknown) => unknown
}

type Method = (...args: unknown[]) => unknown

/** Errors of a query that was never sent, because there was no connection. */
const NOT_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'CONNECT_TIMEOUT'])

/**
 * Gives a `sql` of postgres.js that is observed: its queries, their errors and rows, and how many connections it may
 * have. The driver does not tell of its connections, so their metrics are absent, and so are the BEGIN and COMMIT that
 * `sql.begin` sends by itself.
 */
export function observed<T extends Sql> (sql: T, options: DatabaseScope = {}): T {
  const recorder = new DatabaseRecorder(readDatabaseScope('observed', options), 'postgresql', 'postgres.js', false)
  const shown = new WeakRef(sql)
  recorder.show(() => shown.deref() !== undefined, { max: () => shown.deref()?.options.max ?? 0 })
  return observe(sql, recorder)
}

/** Every `sql` that the driver gives: the first, that of a transaction, and a reserved connection. */
function observe<T extends object> (sql: T, recorder: DatabaseRecorder): T {
  const methods = new Map<PropertyKey, Method>()
  return new Proxy(sql, {
    apply: (target, self, args) => watch(Reflect.apply(target as unknown as Method, self, args), recorder),
    get (target, name) {
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== 'function') return method
      const observes = OBSERVED[name as keyof typeof OBSERVED]
      if (observes === undefined) return method
      const known = methods.get(name) ?? observes(method as Method, recorder)
      methods.set(name, known)
      return known
    }
  })
}

const query = (method: Method, recorder: DatabaseRecorder): Method => (...args) => watch(method(...args), recorder)
const transaction = (method: Method, recorder: DatabaseRecorder): Method => (...args) => method(...args.map((arg) => {
  return typeof arg === 'function' ? (sql: object) => (arg as Method)(observe(sql, recorder)) : arg
}))
const reservation = (method: Method, recorder: DatabaseRecorder): Method => async () => observe(await method() as object, recorder)

const OBSERVED = { unsafe: query, file: query, begin: transaction, savepoint: transaction, reserve: reservation }

/** Records a query from when it is sent until the driver settles it. */
function watch (result: unknown, recorder: DatabaseRecorder): unknown {
  if (!isQuery(result)) return result
  const { handler } = result
  let started: Query | undefined
  let isSettled = false
  // The driver keeps a setting on the function.
  result.handler = Object.assign((query: PostgresQuery) => {
    // One that was cancelled before is not sent.
    if (!isSettled) started = recorder.queryStarted(textOf(query), query)
    return handler(query)
  }, handler)
  const end = (record: (started: Query) => void) => {
    if (!isSettled && started !== undefined) record(started)
    isSettled = true
  }
  over(result, 'resolve', (settled) => { end((started) => { recorder.querySucceeded(started, rowsOf(settled)) }) })
  over(result, 'reject', (error) => {
    end((started) => {
      if (!NOT_CONNECTED.has(String((error as { code?: unknown }).code))) return recorder.queryFailed(started, error)
      started.end()
      recorder.connectionFailed(error)
    })
  })
  return result
}

/** Is told before a function of the query is called. A cursor puts another function there for each batch. */
function over (query: PostgresQuery, name: 'resolve' | 'reject', tell: (argument: unknown) => void): void {
  let below = query[name]
  const told = (argument: unknown) => {
    tell(argument)
    return below(argument)
  }
  Object.defineProperty(query, name, { get: () => told, set: (put: typeof below) => { below = put }, configurable: true, enumerable: true })
}

/** The text up to the first value: it has the verb. A query may begin with another one. */
function textOf ({ strings: [first = ''], args: [arg] }: PostgresQuery): string {
  return first.trim() === '' && isQuery(arg) ? textOf(arg) : first
}

function rowsOf (result: unknown): number | undefined {
  const { count } = result as { count?: unknown }
  if (typeof count === 'number') return count
  return Array.isArray(result) && result.length > 0 ? result.reduce<number>((sum, one) => sum + (rowsOf(one) ?? 0), 0) : undefined
}

function isQuery (value: unknown): value is PostgresQuery {
  const { handler, strings, resolve } = (value ?? {}) as Partial<PostgresQuery>
  return typeof handler === 'function' && typeof resolve === 'function' && Array.isArray(strings)
}
