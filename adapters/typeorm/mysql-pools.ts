import { shadowMethod, type Method } from '../../src/adapter.js'
import { watchExhaustion } from '../mysql2/cluster.js'
import type { Cluster as Mysql2Cluster } from '../mysql2/driver.js'
import type { DriverPools, Seen } from './pools.js'

/** The parts of TypeORM's MysqlDriver that are used here. */
interface MysqlDriver {
  /** The module mysql2, or mysql. */
  mysql?: object & { readonly createPool?: Method, readonly createPoolCluster?: Method }
  readonly pool?: object | undefined
  readonly poolCluster?: Cluster | undefined
}

interface Cluster extends Pick<Mysql2Cluster, 'of' | '_namespaces'> {
  /** The pools by the names that TypeORM gives them: MASTER, SLAVE0, SLAVE1, ... */
  readonly _nodes?: Readonly<Record<string, { readonly pool?: object } | undefined>>
}

/**
 * Whether a driver makes its pools with mysql2. TypeORM before 1.0 takes `mysql` first, where that is installed, which
 * has no plugins for authentication. Any version takes another module as its option `driver`.
 */
export function hasMysql2 (driver: object): boolean {
  const { mysql } = driver as MysqlDriver
  return typeof mysql === 'object' && 'authPlugins' in mysql
}

/** The pools of mysql2 that a driver has, those of its cluster under replication included. */
export class MysqlPools implements DriverPools<object> {
  readonly #driver: MysqlDriver
  readonly #noPool: (error: unknown) => void
  /** Restores the latest cluster. */
  #restoreCluster = (): void => {}

  /** @param noPool called with the error of a cluster that has no pool left to give a connection: no pool tells of it */
  constructor (driver: object, noPool: (error: unknown) => void) {
    this.#driver = driver as MysqlDriver
    this.#noPool = noPool
  }

  tellMade (seen: Seen<object>): void {
    const { pool, poolCluster } = this.#driver
    if (pool !== undefined) seen(pool, undefined)
    if (poolCluster !== undefined) tellNodes(poolCluster, seen)
  }

  watch (seen: Seen<object>): () => void {
    const { poolCluster } = this.#driver
    if (poolCluster !== undefined) this.#watchCluster(poolCluster)
    const whileSeen = this.#whileSeen.bind(this)
    const restore = shadowMethod(this.#driver, 'connect', (connect) => function (...args) {
      return whileSeen(seen, () => Reflect.apply(connect, this, args))
    })
    return () => {
      restore()
      this.#restoreCluster()
    }
  }

  /**
   * Tells of the pools that the driver makes in its `connect`. The driver makes them, and asks for the first connection,
   * before its first await (typeorm/driver/mysql/MysqlDriver.js, connect). So the replaced module is needed only until
   * `connect` returns.
   */
  #whileSeen<R> (seen: Seen<object>, connect: () => R): R {
    const driver = this.#driver
    const { mysql } = driver
    if (mysql === undefined) return connect()
    let restoreAdd = (): void => {}
    driver.mysql = Object.create(mysql, {
      createPool: {
        value: (...args: unknown[]) => {
          const pool = Reflect.apply(mysql.createPool as Method, mysql, args) as object
          seen(pool, undefined)
          return pool
        }
      },
      createPoolCluster: {
        value: (...args: unknown[]) => {
          const cluster = Reflect.apply(mysql.createPoolCluster as Method, mysql, args) as Cluster
          restoreAdd = shadowMethod(cluster, 'add', (add) => function (...added) {
            const result = Reflect.apply(add, this, added)
            tellNodes(cluster, seen)
            return result
          })
          this.#watchCluster(cluster)
          return cluster
        }
      }
    }) as typeof mysql
    try {
      return connect()
    } finally {
      driver.mysql = mysql
      restoreAdd()
    }
  }

  #watchCluster (cluster: Cluster): void {
    this.#restoreCluster()
    this.#restoreCluster = watchExhaustion(cluster, this.#noPool)
  }
}

function tellNodes ({ _nodes }: Cluster, seen: Seen<object>): void {
  for (const [name, node] of Object.entries(_nodes ?? {})) {
    const replica = /^SLAVE(\d{1,4})$/.exec(name)?.[1]
    if (node?.pool !== undefined) seen(node.pool, replica === undefined ? undefined : Number(replica))
  }
}
