import { guide } from './guide.js'
import { unpackPackage, type PackageFolder } from './package-folder.js'
import type { Postgres } from './postgres.js'
import type { Test } from './program.js'

/** The project of docs/getting-started.md with its database, without its Prometheus. */
export interface Walks {
  readonly folder: PackageFolder
  /** Where the page's service with its pool listens, a process of its own. */
  readonly url: string
}

/** Makes the project as the page says, and starts its service; both gone at teardown. */
export async function startWalks (t: Test, { host, port, user, password, database }: Postgres['config']): Promise<Walks> {
  const page = guide('getting-started')
  const folder = await unpackPackage(t, page.code('sh', 'npm init').replace(/^npm install.*$/m, 'mkdir node_modules'))
  const code = page.code('js', 'walks_booked_total').replace(/^await fastify\.listen.*$/m, (line) => `${page.code('js', 'instrumentPool')}\n${line}`)
  const url = await folder.start(t, 'service-with-pool.js', code, { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: database })
  return { folder, url }
}
