/** What a test is to whoever may have to leave it out. */
interface Test {
  pass (message: string, options: { skip: string }): unknown
}

/** The class that better-sqlite3 is. */
export type Database = new (file: string, options?: object) => {
  readonly inTransaction: boolean
  exec (sql: string): void
  prepare (sql: string): { all (...values: unknown[]): unknown[], run (...values: unknown[]): { changes: number } }
  close (): void
}

/**
 * better-sqlite3, whose native addon is built for one version of Node.
 * @returns undefined where that is another, which is said: skipped, under CI too
 */
export async function loadSqlite (t: Test): Promise<Database | undefined> {
  try {
    // It has no declarations of its own.
    const name: string = 'better-sqlite3'
    const { default: Database } = await import(name) as { default: Database }
    // It loads its addon with its first database.
    new Database(':memory:').close()
    return Database
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ERR_DLOPEN_FAILED') throw error
    const why = 'better-sqlite3 was built for another version of Node (ERR_DLOPEN_FAILED)'
    t.pass(why, { skip: why })
    return undefined
  }
}

/** Statements that fail on tables of walkers and walks with one walker, ann, and as what. */
export const SQLITE_FAILURES: ReadonlyArray<readonly [type: string, sql: string]> = [
  ['unique_violation', "INSERT INTO walker (id, name) VALUES (7, 'ann')"],
  ['unique_violation', "INSERT INTO walker (id, name) VALUES (1, 'bob')"],
  ['not_null_violation', 'INSERT INTO walker (name) VALUES (NULL)'],
  ['check_violation', 'INSERT INTO walk (metres) VALUES (0)'],
  ['foreign_key_violation', 'INSERT INTO walk (metres, walker) VALUES (1, 99)'],
  ['undefined_table', 'SELECT * FROM cat'],
  ['undefined_column', 'SELECT tail FROM walker'],
  ['undefined_function', 'SELECT bark(1)'],
  ['syntax_error', 'SELEC 1'],
  ['duplicate_table', 'CREATE TABLE walker (id INT)'],
  ['no_active_sql_transaction', 'COMMIT'],
  ['invalid_savepoint_specification', 'ROLLBACK TO SAVEPOINT nowhere']
]
