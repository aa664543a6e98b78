import { DatabaseRecorder, type DatabaseScope, type Trouble } from '../../src/adapter.js'
import { isPool } from '../mysql2/driver.js'
import { observe, observed as observedMysql } from '../mysql2/instrument.js'
import { instrumentPool } from '../pg.js'
import { observedPools } from '../pg/instrument.js'
import { hasMysql2, MysqlPools } from './mysql-pools.js'
import { onceWarned } from './observation.js'
import { Pools, type InstrumentedPools } from './pools.js'
import { PostgresPools } from './postgres-pools.js'
import type { DataSourceLike } from './shapes.js'

/**
 * Gives a function that instruments the pools of a data source; undefined for a driver that has none, or none that can
 * be observed.
 * @throws MetricsError FP_ERR_METRIC_CONFLICT
 */
export function poolsOf ({ driver, options: { type } }: DataSourceLike, scope: DatabaseScope, trouble: Trouble): (() => InstrumentedPools) | undefined {
  const failed = (error: unknown): void => { trouble.report('typeorm pools', error) }
  const scopeOf = (replica: number | undefined): DatabaseScope => replica === undefined ? scope : { ...scope, alias: `${scope.alias ?? 'default'}-replica-${replica + 1}` }
  switch (type) {
    case 'postgres':
    case 'cockroachdb':
      // The application undoes a pool that it instrumented itself.
      return () => new Pools(new PostgresPools(driver), (pool, replica) => observedPools.has(pool) ? () => {} : instrumentPool(pool, scopeOf(replica)), failed)
    case 'mysql':
    case 'mariadb': {
      if (!hasMysql2(driver)) return undefined
      const primary = new DatabaseRecorder(scope, type, 'typeorm pools', false)
      const warn = onceWarned(type, 'its pools are not those of mysql2 3')
      return () => new Pools(new MysqlPools(driver, (error) => { primary.connectionFailed(error) }), (pool, replica) => {
        if (observedMysql.has(pool)) return () => {}
        if (isPool(pool)) return observe(pool, scopeOf(replica), type)
        warn()
        return () => {}
      }, failed)
    }
    default:
      return undefined
  }
}
