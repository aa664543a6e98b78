import { show } from '../validation/errors.js'

/** The kinds of values that a caller may pass by mistake: how to know each by its shape, and what to advise. */
const KINDS: ReadonlyArray<readonly [is: (value: Shape) => boolean, advice: string]> = [
  [({ options, initialize, createQueryRunner }) => isObject(options) && isFunction(initialize) && isFunction(createQueryRunner),
    "it is a TypeORM DataSource: give it to instrumentDataSource, of 'fastify-prometheus/typeorm'"],
  [({ connection, dataSource, createQueryBuilder }) => isFunction(createQueryBuilder) && (isObject(connection) || isObject(dataSource)),
    "it is TypeORM's EntityManager: give its dataSource (connection, before 1.0) to instrumentDataSource, of 'fastify-prometheus/typeorm'"],
  [({ manager, metadata }) => isObject(manager) && isObject(metadata),
    "it is a TypeORM Repository: give its data source to instrumentDataSource, of 'fastify-prometheus/typeorm'"],
  [({ connect, totalCount, Client }) => isFunction(connect) && typeof totalCount === 'number' && isFunction(Client),
    "it is a Pool of pg: give it to instrumentPool, of 'fastify-prometheus/pg'"],
  [({ Pool, Client }) => isFunction(Pool) && isFunction(Client), "it is the module pg: give it to instrumentPg, of 'fastify-prometheus/pg'"],
  [({ pool, query }) => isObject(pool) && isFunction(query) && isFunction((pool as Shape).connect), "it holds a pool: pass its 'pool', as fastify.pg.pool"],
  [({ pg, decorate }) => isFunction(decorate) && isObject(pg), 'it is a Fastify application: pass fastify.pg.pool'],
  [({ $client }) => isObject($client), "it is of Drizzle: pass its '$client', the Pool or the database"],
  [({ $connect, $queryRaw }) => isFunction($connect) && isFunction($queryRaw), 'it is a Prisma client: pass the Pool that its adapter PrismaPg was given'],
  [({ selectFrom, insertInto }) => isFunction(selectFrom) && isFunction(insertInto), 'it is of Kysely: pass what its dialect was given: a Pool, or a database of SQLite'],
  [({ connectionManager, dialect, define }) => isObject(connectionManager) && isObject(dialect) && isFunction(define),
    "it is a Sequelize, whose connections come from a pool of its own: give it instrumentPg(pg) as its option 'dialectModule'"],
  [({ raw, client, schema }) => isFunction(raw) && isObject(client) && isObject(schema), "it is a Knex: pass the Pool that is its option 'connectionPool'; docs/databases.md has the way for the pool of its own"],
  [({ connect, query, end, connectionParameters }) => isFunction(connect) && isFunction(query) && isFunction(end) && isObject(connectionParameters),
    'it is a single Client of pg: make it with instrumentPg(pg).Client, or make a Pool'],
  [({ connect, query, release }) => isFunction(connect) && isFunction(query) && isFunction(release), 'it is a Client of a pool: pass the Pool itself'],
  [({ getConnection }) => isFunction(getConnection), "it is a pool of mysql2 or of its like: give it to instrumentMysql, of 'fastify-prometheus/mysql2'"],
  [({ prepare, exec, close }) => isFunction(prepare) && isFunction(exec) && isFunction(close), "it is a database of SQLite: give it to instrumentSqlite, of 'fastify-prometheus/sqlite'"],
  [({ get, set, del, delete: remove, exec, sendCommand, isPipeline }) => isFunction(get) && isFunction(set) && (isFunction(del) || isFunction(remove)) &&
    isPipeline !== true && (!isFunction(exec) || isFunction(sendCommand)), "it is a cache: give it to instrumentCache, of 'fastify-prometheus/cache'"],
  [({ unsafe, begin, listen }) => isFunction(unsafe) && isFunction(begin) && isFunction(listen), 'it is of postgres.js, which has no adapter here: docs/adapters.md writes one'],
  [({ connectionString, url, host, database, password, user }) => [connectionString, url, host, database, password, user].some((field) => typeof field === 'string'),
    'it looks like the configuration of a connection: pass the Pool or the DataSource that was made with it']
]

type Shape = Readonly<Record<string, unknown>>

/**
 * Describes a wrong target in an error message: its kind, never its content, and where it belongs if its shape shows
 * that. Never throws.
 * @param otherwise the advice when the shape shows nothing
 */
export function describeTarget (value: unknown, otherwise?: string): string {
  const advice = adviceOn(value) ?? otherwise
  return advice === undefined ? show(value) : `${show(value)}; ${advice}`
}

function adviceOn (value: unknown): string | undefined {
  if (typeof value === 'string') return 'pass the object itself, not its address or name'
  if (!isObject(value) && !isFunction(value)) return undefined
  if (isFunction(value) && isTargetClass(value)) return 'it is a class: pass an instance, made with new'
  for (const [is, advice] of KINDS) {
    try {
      if (is(value as unknown as Shape)) return advice
    } catch {
      // A getter or a proxy of the caller threw, so the value is not known to be of this kind.
    }
  }
  return undefined
}

function isTargetClass ({ prototype }: { readonly prototype: unknown }): boolean {
  return isObject(prototype) && ['connect', 'initialize'].some((method) => isFunction((prototype as Shape)[method]))
}

function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- of any kind
function isFunction (value: unknown): value is Function {
  return typeof value === 'function'
}
