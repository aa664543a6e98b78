import { loadSqlite } from './sqlite.js'

export interface SqliteStatement {
  run (...values: unknown[]): { changes: number | bigint }
  get (...values: unknown[]): unknown
  all (...values: unknown[]): unknown[]
  iterate (...values: unknown[]): IterableIterator<unknown>
  [other: string]: unknown
}

/** What the databases of better-sqlite3 and node:sqlite have both, and whatever else one of them has. */
export interface SqliteDatabase {
  prepare (sql: string, options?: object): SqliteStatement
  exec (sql: string): unknown
  close (): unknown
  [other: string]: unknown
}

interface Options {
  readonly?: boolean
  timeout?: number
  open?: boolean
}

export interface SqliteDriver {
  readonly name: 'better-sqlite3' | 'node:sqlite'
  /** @param options `readonly`, `timeout` in milliseconds; of node:sqlite, `open`: whether it opens it */
  open (file?: string, options?: Options): SqliteDatabase
  isOpen (database: SqliteDatabase): boolean
}

type Make = new (file: string, options?: object) => SqliteDatabase

/** The drivers of SQLite that this Node has. The others are said. */
export async function sqliteDrivers (t: { pass (message: string, options: { skip: string }): unknown }): Promise<SqliteDriver[]> {
  const [Better, Node] = [await loadSqlite(t) as unknown as Make | undefined, await loadNodeSqlite(t)]
  const drivers: SqliteDriver[] = []
  if (Better !== undefined) {
    drivers.push({ name: 'better-sqlite3', open: (file = ':memory:', options = {}) => new Better(file, options), isOpen: ({ open }) => open === true })
  }
  if (Node !== undefined) {
    drivers.push({ name: 'node:sqlite', open: (file = ':memory:', { readonly = false, ...options } = {}) => new Node(file, { readOnly: readonly, ...options }), isOpen: ({ isOpen }) => isOpen === true })
  }
  return drivers
}

async function loadNodeSqlite (t: { pass (message: string, options: { skip: string }): unknown }): Promise<Make | undefined> {
  try {
    const name: string = 'node:sqlite'
    return (await import(name) as { DatabaseSync: Make }).DatabaseSync
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_UNKNOWN_BUILTIN_MODULE') throw error
    const why = `Node ${process.version} has no node:sqlite`
    t.pass(why, { skip: why })
    return undefined
  }
}
