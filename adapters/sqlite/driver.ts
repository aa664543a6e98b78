/** SQLite as this adapter sees it: better-sqlite3, and Node's own node:sqlite. No type is imported from either. */
import type { Method } from '../../src/adapter.js'

/**
 * What makes and runs statements: a DatabaseSync, or the native database that a Database of better-sqlite3 keeps under
 * a symbol.
 */
export interface Maker {
  prepare: Method
  exec: Method
  close: Method
  /** Of better-sqlite3, whether it is open; of node:sqlite, the method that opens it. */
  readonly open?: unknown
  /** Of node:sqlite. */
  readonly isOpen?: boolean
}

/**
 * What makes the statements of a database. All statements of better-sqlite3 come from its native database, those of
 * `pragma` and `transaction` too (better-sqlite3/lib/methods). Where that is not found, theirs are missed.
 */
export function makerOf (database: Maker): Maker {
  for (const symbol of Object.getOwnPropertySymbols(database)) {
    const native = (database as unknown as Record<symbol, unknown>)[symbol]
    if (typeof native === 'object' && native !== null && isMaker(native)) return native
  }
  return database
}

export function isMaker (value: object): value is Maker {
  const { prepare, exec, close } = value as Partial<Maker>
  return [prepare, exec, close].every((method) => typeof method === 'function')
}

export function isOpen ({ open, isOpen }: Maker): boolean {
  return open === true || isOpen === true
}
