/** A real PostgreSQL of the test's own, on a free port of the loopback interface. */
export interface Postgres {
  readonly port: number
  /** Connection settings that pg and TypeORM (`username`) take. */
  readonly config: { host: string, port: number, user: string, username: string, password: string, database: string }
  stop (): Promise<void>
  /** Starts again on the same port, after stop(). */
  start (): Promise<void>
  /** Stops it and removes its files. */
  close (): Promise<void>
}

/**
 * Starts a PostgreSQL. Call its close() in teardown: the server outlives a process that does not.
 * @param flags of the server: '-c', 'max_connections=10'
 * @throws Error with the server's log, when it does not start
 */
export function startPostgres (...flags: string[]): Promise<Postgres>

/** A port of the loopback interface that nobody listens on now. */
export function freePort (): Promise<number>
