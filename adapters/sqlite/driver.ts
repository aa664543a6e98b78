/** SQLite as this adapter sees it: better-sqlite3, and Node's own node:sqlite. No type is imported from either. */

/** Any method: the driver decides what it takes and what it gives back. */
export type Method = (this: unknown, ...args: unknown[]) => unknown

/** What makes statements: a DatabaseSync, or the native database that a Database of better-sqlite3 keeps under a symbol. */
export interface Maker {
  prepare: Method
  exec: Method
}

export interface Database extends Maker {
  close: Method
  /** Of better-sqlite3, whether it is open. */
  readonly open?: unknown
  /** Of node:sqlite. */
  readonly isOpen?: boolean
}

export interface Statement {
  run: Method
  get: Method
  all: Method
  iterate?: Method
}

/**
 * What makes the statements of a database. All statements of better-sqlite3 come from its native database, those of
 * `pragma` and `transaction` too (better-sqlite3/lib/methods). Where that is not found, theirs are missed.
 */
export function makerOf (database: Database): Maker {
  for (const symbol of Object.getOwnPropertySymbols(database)) {
    const native = (database as unknown as Record<symbol, unknown>)[symbol]
    if (typeof native === 'object' && native !== null && isMaker(native)) return native
  }
  return database
}

export function isMaker (value: object): value is Maker {
  const { prepare, exec } = value as Partial<Maker>
  return typeof prepare === 'function' && typeof exec === 'function'
}

export function isOpen ({ open, isOpen }: Database): boolean {
  return open === true || isOpen === true
}
