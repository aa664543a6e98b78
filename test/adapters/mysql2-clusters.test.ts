import mysql, { type PoolCluster } from 'mysql2'
import promised from 'mysql2/promise'
import { Registry } from 'prom-client'
import t from 'tap'
import { instrumentMysql } from '../../adapters/mysql2.js'
import { Counter } from '../../src/index.js'
import { databaseNumbers, samplesOf } from '../support/database.js'
import { startMariaDb, type MariaDb } from '../support/mariadb.js'

const started = await startMariaDb(t)
if (started === undefined) process.exit(0)
const server: MariaDb = started
/** Nothing listens there. */
const nowhere = { ...server.config, port: 1 }

function clusterOf (test: Pick<typeof t, 'teardown'>, options?: mysql.PoolClusterOptions) {
  const cluster = mysql.createPoolCluster(options)
  const registry = new Registry()
  test.teardown(() => new Promise((resolve) => { cluster.end(resolve) }))
  return { cluster, registry }
}

const select = (cluster: PoolCluster, pattern: string) => new Promise<void>((resolve, reject) => {
  cluster.of(pattern, 'ORDER').query('SELECT 1', (error) => error ? reject(error) : resolve())
})
const counts = async (registry: Registry, name: string) => {
  const metric = await registry.getSingleMetric(name)?.get() as { values: Array<{ value: number, metricName?: string, labels: Record<string, string> }> }
  return Object.fromEntries(metric.values.filter(({ metricName = name }) => /_total$|_count$|_max$/.test(metricName)).map(({ labels, value }) => [labels.alias, value]))
}

t.test('each node has its alias, those that are added later and by either face too', async (t) => {
  const cluster = promised.createPoolCluster() as ReturnType<typeof promised.createPoolCluster> & { poolCluster: PoolCluster, add (id: string | object, config?: object): void, remove (pattern: string): void }
  const registry = new Registry()
  cluster.add('primary', { ...server.config, connectionLimit: 2 })
  const undo = instrumentMysql(cluster, { registry, alias: 'walks' })
  t.equal(instrumentMysql(cluster.poolCluster), undo)
  cluster.add('replica', server.config)
  cluster.poolCluster.add({ ...server.config, connectionLimit: 5 })
  t.same(await counts(registry, 'db_pool_connections_max'), { 'walks-primary': 2, 'walks-replica': 10, 'walks-CLUSTER::1': 5 })
  for (const pattern of ['primary', 'replica', 'replica']) await cluster.of(pattern).query('SELECT 1')
  const connection = await cluster.getConnection('CLUSTER*')
  await connection.query('SELECT 1')
  connection.release()
  t.same(await counts(registry, 'db_query_duration_seconds'), { 'walks-primary': 1, 'walks-replica': 2, 'walks-CLUSTER::1': 1 })
  t.same(await counts(registry, 'db_connections_opened_total'), { 'walks-primary': 1, 'walks-replica': 1, 'walks-CLUSTER::1': 1 })

  cluster.remove('replica')
  t.same(Object.keys(await counts(registry, 'db_pool_connections_max')), ['walks-primary', 'walks-CLUSTER::1'])
  t.match(await counts(registry, 'db_connections_closed_total'), { 'walks-replica': 1 })
  cluster.add('replica', server.config)
  await cluster.of('replica').query('SELECT 1')
  t.match(await counts(registry, 'db_connections_opened_total'), { 'walks-replica': 2 })

  undo()
  await cluster.of('primary').query('SELECT 1')
  cluster.add('late', server.config)
  await cluster.of('late').query('SELECT 1')
  t.same(await counts(registry, 'db_query_duration_seconds'), { 'walks-primary': 1, 'walks-replica': 3, 'walks-CLUSTER::1': 1 })
  t.notOk(Object.hasOwn(cluster.poolCluster, 'add'))
  await cluster.end()
})

t.test('a node that cannot be reached has its errors, and the other one the statement', async (t) => {
  const { cluster, registry } = clusterOf(t, { canRetry: true, removeNodeErrorCount: 1, restoreNodeTimeout: 60_000 })
  cluster.add('a', nowhere)
  cluster.add('b', server.config)
  instrumentMysql(cluster, { registry })
  await select(cluster, '*')
  t.same(await counts(registry, 'db_connection_errors_total'), { 'default-a': 1 })
  t.same(await counts(registry, 'db_pool_acquire_duration_seconds'), { 'default-b': 1 })
  await t.rejects(select(cluster, 'a'), { code: 'POOL_NONEONLINE' })
  t.match(await databaseNumbers(registry), { queries: 1, queryErrors: 0, inFlight: 0, trouble: 0 })
})

t.test('a node that fails too often is removed by the cluster', async (t) => {
  const { cluster, registry } = clusterOf(t, { canRetry: false, removeNodeErrorCount: 1 })
  cluster.add('a', nowhere)
  instrumentMysql(cluster, { registry })
  await t.rejects(select(cluster, 'a'), { code: 'ECONNREFUSED' })
  await t.rejects(select(cluster, 'a'), { code: 'POOL_NOEXIST' })
  t.same(await samplesOf(registry, 'db_pool_connections'), {})
})

t.test('what a node cannot be observed for: at the call it is thrown and nothing is left, later it is trouble', async (t) => {
  const { cluster } = clusterOf(t)
  cluster.add('a', server.config)
  const before = Reflect.ownKeys(cluster)
  const conflicting = new Registry()
  const conflict = new Counter({ name: 'db_query_duration_seconds', help: 'x', registers: [conflicting] })
  t.ok(conflict)
  t.throws(() => instrumentMysql(cluster, { registry: conflicting }), { code: 'FP_ERR_METRIC_CONFLICT' })
  t.same(Reflect.ownKeys(cluster), before)

  const registry = new Registry()
  instrumentMysql(cluster, { registry })
  registry.removeSingleMetric('db_query_duration_seconds')
  const blocking = new Counter({ name: 'db_query_duration_seconds', help: 'x', registers: [registry] })
  t.ok(blocking)
  process.once('warning', () => {})
  cluster.add('b', server.config)
  await select(cluster, 'b')
  t.match(await samplesOf(registry, 'metrics_instrumentation_errors_total'), { mysql2: /[1-9]/ })
})

t.test('a cluster without a node to ask counts each time, under its own alias, and nobody else', async (t) => {
  const { cluster, registry } = clusterOf(t, { removeNodeErrorCount: 1, restoreNodeTimeout: 60_000 })
  const before = cluster.of('missing*')
  const undo = instrumentMysql(cluster, { registry, alias: 'walks' })
  const errors = async () => {
    const metric = await registry.getSingleMetric('db_connection_errors_total')?.get() as { values: Array<{ value: number, labels: Record<string, string> }> }
    return metric.values.map(({ labels: { alias, type }, value }) => `${alias} ${type} ${value}`).sort()
  }
  const asked = (namespace: { getConnection: (callback: (error: NodeJS.ErrnoException | null) => void) => void }) => new Promise<string | undefined>((resolve) => { namespace.getConnection((error) => { resolve(error?.code) }) })
  t.equal(await asked(before), 'POOL_NOEXIST')
  t.equal(await asked(cluster), 'POOL_NOEXIST')
  cluster.add('down', nowhere)
  // The node that fails is asked, and then there is none.
  t.equal(await asked(cluster.of('down')), 'ECONNREFUSED')
  t.equal(await asked(cluster.of('down')), 'POOL_NONEONLINE')
  t.same(await errors(), ['walks POOL_NOEXIST 2', 'walks POOL_NONEONLINE 1', 'walks-down ECONNREFUSED 1'])
  undo()
  t.equal(await asked(cluster.of('other')), 'POOL_NOEXIST')
  t.equal(await asked(before), 'POOL_NOEXIST')
  t.match(await errors(), ['walks POOL_NOEXIST 2'])
  t.notOk(Object.hasOwn(before, '_getClusterNode') || Object.hasOwn(cluster, 'of'))
})
