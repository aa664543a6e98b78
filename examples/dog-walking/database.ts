import { instrumentPool } from 'fastify-prometheus/pg'
import { instrumentDataSource, modelOpsSubscriber } from 'fastify-prometheus/typeorm'
import pg from 'pg'
import { DataSource } from 'typeorm'
import { Dog } from './entities/dog.js'
import { Walk } from './entities/walk.js'
import { Walker } from './entities/walker.js'
import { CreateWalkersAndDogs1757000000000 } from './migrations/1757000000000-create-walkers-and-dogs.js'
import { CreateWalks1757000100000 } from './migrations/1757000100000-create-walks.js'
import { StartError, codeOf, reasonOf } from './errors.js'

const CONNECT_TIMEOUT_MS = 5000
/** Any number, the same in every process that migrates this database. */
const MIGRATION_LOCK = 3_141_592

/** Where a password is that is not in DATABASE_URL. */
const IN_PGPASSWORD = 'PGPASSWORD, in Kubernetes by the Secret that database.existingSecret names'

/**
 * Connects TypeORM, observed: queries and pool as alias 'default', operations of the three models, migrations.
 * @throws StartError when there is no such database
 */
export async function connectDataSource (url: string): Promise<DataSource> {
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    entities: [Walker, Dog, Walk],
    migrations: [CreateWalkersAndDogs1757000000000, CreateWalks1757000100000]
  })
  instrumentDataSource(dataSource, { nativeHistograms: true })
  try {
    await dataSource.initialize()
  } catch (error) {
    throw new StartError(whyNoDatabase(url, error, process.env['PGPASSWORD']))
  }
  dataSource.subscribers.push(modelOpsSubscriber(['walker', 'dog', 'walk']))
  return dataSource
}

/** A small pool of its own for the status page, so that it answers while the other one is exhausted. Observed as alias 'status'. */
export function connectStatusPool (url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 2, connectionTimeoutMillis: CONNECT_TIMEOUT_MS })
  instrumentPool(pool, { alias: 'status', nativeHistograms: true })
  // Without a listener a connection that is lost while idle would end the process; the pool makes a new one when it needs it.
  pool.on('error', () => {})
  return pool
}

/** Applies the migrations that are pending, and gives their names. Several processes at once take turns. */
export async function migrate (dataSource: DataSource): Promise<string[]> {
  const runner = dataSource.createQueryRunner()
  try {
    await runner.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
    const applied = await dataSource.runMigrations({ transaction: 'each' })
    return applied.map(({ name }) => name)
  } catch (error) {
    throw new StartError(`the migrations failed: ${reasonOf(error)}`)
  } finally {
    await runner.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => {})
    await runner.release()
  }
}

/** Whether the database has the tables of this version. @throws StartError where it has not */
export async function requireMigrated (dataSource: DataSource): Promise<void> {
  const tables = await dataSource.query("SELECT to_regclass('walk') IS NOT NULL AS there") as Array<{ there: boolean }>
  if (tables[0]?.there !== true) throw new StartError('the database has no tables yet; run with --migrate first')
}

function whyNoDatabase (url: string, error: unknown, pgPassword = ''): string {
  const { hostname, port, pathname, username, password, searchParams } = new URL(url)
  const place = `${hostname || 'localhost'}:${port || 5432}`
  const user = decodeURIComponent(username)
  const otherwise = 'correct DATABASE_URL, or leave it out for a PostgreSQL of the demo\'s own'
  const byUrl = password !== '' || searchParams.has('password')
  switch (codeOf(error) || codeOf(Object(error).errors?.[0]) || refusalOf(error)) {
    case 'ECONNREFUSED': return `no PostgreSQL listens at ${place}; start it, ${otherwise}`
    case 'ENOTFOUND': case 'EAI_AGAIN': return `the host ${hostname} of the database is not known; ${otherwise}`
    case '3D000': return `the PostgreSQL at ${place} has no database '${decodeURIComponent(pathname.slice(1))}'; create it, ${otherwise}`
    case '28P01': return byUrl || pgPassword !== ''
      ? `the PostgreSQL at ${place} does not take the password of '${user}'; correct it in ${byUrl ? 'DATABASE_URL' : IN_PGPASSWORD}`
      : `the PostgreSQL at ${place} asks '${user}' for a password and there is none; set ${IN_PGPASSWORD}`
    case '28000': return `the PostgreSQL at ${place} does not let '${user}' in (${reasonOf(error)}); ${otherwise}`
    default: return `cannot connect to the PostgreSQL at ${place} (${reasonOf(error)}); ${otherwise}`
  }
}

/** pg refuses by itself to begin SCRAM without a password, and has no code for that. */
function refusalOf (error: unknown): string {
  return /^SASL: .*client password must be/.test(reasonOf(error)) ? '28P01' : ''
}
