import mysql2, { type Pool, type PoolCluster } from 'mysql2'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import type { DataSource } from 'typeorm'
import { instrumentMysql } from '../../adapters/mysql2.js'
import { instrumentDataSource } from '../../adapters/typeorm.js'
import { newDataSource, oldDataSource } from '../support/data-source.js'
import { startMariaDb, type MariaDb } from '../support/mariadb.js'
import { Page } from '../support/page.js'

const mariadb = await startMariaDb(t) as MariaDb
if (mariadb === undefined) t.bailout('without a MariaDB there is nothing to test here')

const { user: username, ...address } = mariadb.config
const MAKES: Record<string, readonly [vendor: string, make: (options?: object) => DataSource]> = {
  'TypeORM 1': ['mariadb', (options) => newDataSource({ type: 'mariadb', username, ...address, ...options })],
  'TypeORM 0.3.20': ['mysql', (options) => oldDataSource({ type: 'mysql', username, ...address, ...options })]
}
const credentials = (): object => ({ username, ...address })
const replicated = (): object => ({ replication: { master: credentials(), slaves: [credentials(), credentials()] } })
const poolOf = (dataSource: DataSource): Pool => (dataSource.driver as unknown as { pool: Pool }).pool
const clusterOf = (dataSource: DataSource): PoolCluster => (dataSource.driver as unknown as { poolCluster: PoolCluster }).poolCluster

function observed (t: Test, dataSource: DataSource, options: object = {}): { page: () => Promise<Page>, undo: () => void } {
  const registry = new Registry()
  const undo = instrumentDataSource(dataSource, { registry, migrations: false, ...options })
  t.teardown(async () => { if (dataSource.isInitialized) await dataSource.destroy() })
  return { undo, page: async () => new Page(await registry.metrics()) }
}

/** The process warnings of ours that come meanwhile. */
async function warnings (during: () => Promise<unknown>): Promise<string[]> {
  const seen: string[] = []
  const listener = (warning: Error & { code?: string }): void => { if (warning.code?.startsWith('FP_')) seen.push(`${warning.code} ${warning.message}`) }
  process.on('warning', listener)
  await during()
  await new Promise((resolve) => setImmediate(resolve))
  process.removeListener('warning', listener)
  return seen
}

for (const [version, [vendor, make]] of Object.entries(MAKES)) {
  const labels = { alias: 'default', vendor }

  t.test(`${version}: the pool is observed before its first connection, and again at each initialize`, async (t) => {
    const dataSource = make({ extra: { connectionLimit: 3 } })
    const { page } = observed(t, dataSource)
    t.equal((await page()).sum('db_connections_opened_total', labels), 0)
    for (const round of [1, 2]) {
      await dataSource.initialize()
      t.equal((await page()).sum('db_pool_connections', { ...labels, state: 'idle' }), 1)
      t.equal((await page()).sum('db_pool_connections_max', labels), 3)
      t.equal((await page()).sum('db_connection_create_duration_seconds_count', labels), round, 'each one timed')
      const runner = dataSource.createQueryRunner()
      await runner.query('SELECT 1')
      t.equal((await page()).sum('db_pool_connections', { ...labels, state: 'used' }), 1)
      await runner.release()
      const [acquired, used] = [(await page()).sum('db_pool_acquire_duration_seconds_count', labels), (await page()).sum('db_connection_use_duration_seconds_count', labels)]
      t.ok(acquired >= 3 * round, 'that of the driver, that of its version, and this one')
      t.equal(used, acquired)
      t.equal((await page()).sum('db_connections_closed_total', labels), round - 1)
      await dataSource.destroy()
      t.equal((await page()).sum('db_connections_opened_total', labels), round)
      t.equal((await page()).sum('db_connections_closed_total', labels), round)
      t.same((await page()).of('db_pool_connections', labels), [], 'one that has ended is not shown')
    }
    t.equal((await page()).sum('metrics_instrumentation_errors_total'), 0)
  })

  t.test(`${version}: the pools of a cluster have aliases of their own`, async (t) => {
    for (const when of ['before', 'after'] as const) {
      const dataSource = make(replicated())
      if (when === 'after') await dataSource.initialize()
      const { page, undo } = observed(t, dataSource, { alias: 'walks' })
      if (when === 'before') await dataSource.initialize()
      t.equal((await page()).sum('db_connection_create_duration_seconds_count', { alias: 'walks', vendor }), when === 'before' ? 1 : 0, 'its first connection')
      const runners = Array.from({ length: 4 }, () => dataSource.createQueryRunner('slave'))
      await Promise.all(runners.map((runner) => runner.query('SELECT 1')))
      const now = await page()
      t.same(['walks-replica-1', 'walks-replica-2'].map((alias) => now.sum('db_pool_connections', { alias, vendor, state: 'used' })), [2, 2], `${when} initialize`)
      t.equal(now.sum('db_pool_connections', { alias: 'walks', vendor, state: 'idle' }), 1)
      t.same(now.values('db_query_duration_seconds_count', 'alias').filter((alias) => alias.includes('SLAVE') || alias.includes('MASTER')), [])
      await Promise.all(runners.map((runner) => runner.release()))
      await dataSource.query('SELECT 1')
      const cluster = clusterOf(dataSource)
      const nodes = (cluster as unknown as { _nodes: Record<string, { pool: object }> })._nodes
      undo()
      t.same([cluster, ...Object.values(nodes).map(({ pool }) => pool)].flatMap((object) => ['add', 'getConnection', '_clearFindCaches'].filter((name) => Object.hasOwn(object, name))), [])
      t.equal(now.sum('metrics_instrumentation_errors_total'), 0)
      await dataSource.destroy()
    }
  })

  t.test(`${version}: a pool that the application instrumented itself counts once, and outlives the undo`, async (t) => {
    const own = new Registry()
    const dataSource = await make().initialize()
    const end = instrumentMysql(poolOf(dataSource), { registry: own, alias: 'own' })
    const { undo } = observed(t, dataSource, { registry: own })
    await dataSource.query('SELECT 1')
    undo()
    await dataSource.query('SELECT 1')
    const page = new Page(await own.metrics())
    t.equal(page.sum('db_query_duration_seconds_count', { alias: 'own' }), 2)
    t.equal(page.sum('db_query_duration_seconds_count', { alias: 'default' }), 0)
    end()
  })

  t.test(`${version}: undo while initialize is under way takes the pool's observation too`, async (t) => {
    const dataSource = make()
    const { page, undo } = observed(t, dataSource)
    const initializing = dataSource.initialize()
    undo()
    await initializing
    await dataSource.query('SELECT 1')
    t.equal((await page()).sum('db_query_duration_seconds_count'), 0)
    t.notOk(Object.hasOwn(poolOf(dataSource), 'getConnection'))
    t.equal((dataSource.driver as unknown as { mysql: object }).mysql, mysql2)
  })

  t.test(`${version}: another driver module is observed at the query runners`, async (t) => {
    const { createPool, createPoolCluster } = mysql2
    for (const options of [{}, replicated()]) {
      const dataSource = make({ driver: { createPool, createPoolCluster }, ...options })
      const { page } = observed(t, dataSource)
      t.same(await warnings(() => dataSource.initialize()), [])
      const before = await page()
      await dataSource.query('SELECT 1')
      await t.rejects(dataSource.query('SELECT broken'))
      const after = await page()
      t.equal(after.sum('db_query_duration_seconds_count', { ...labels, operation: 'select' }) - before.sum('db_query_duration_seconds_count', { ...labels, operation: 'select' }), 2)
      t.equal(after.sum('db_query_errors_total', { ...labels, type: 'undefined_column' }), 1)
      t.same([...after.of('db_pool_connections'), ...after.of('db_connections_opened_total')], [], 'nothing is said of connections')
    }
  })

  t.test(`${version}: pools of mysql2 that nobody knows are named in a warning, once`, async (t) => {
    const createPool = (options: object): object => {
      const pool = mysql2.createPool(options)
      return { getConnection: pool.getConnection.bind(pool), end: pool.end.bind(pool) }
    }
    const dataSource = make({ driver: { ...mysql2, createPool } })
    const { page } = observed(t, dataSource)
    const told = await warnings(async () => {
      for (let i = 0; i < 2; i++) {
        await dataSource.initialize()
        await dataSource.destroy()
      }
    })
    t.equal(told.length, 1)
    t.match(told[0], new RegExp(`^FP_WARN_NOT_OBSERVED .* of type '${vendor}' are not observed: its pools are not those of mysql2 3$`))
    t.equal((await page()).sum('metrics_instrumentation_errors_total'), 0)
  })
}
