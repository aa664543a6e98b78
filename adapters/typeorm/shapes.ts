import { holds } from '../../src/adapter.js'

/**
 * TypeORM as this adapter sees it. The types of every version from 0.3.20 on fit these. No type is imported from
 * TypeORM, so this package works with any copy that the application has.
 */

/** A `DataSource`. */
export interface DataSourceLike {
  /** A driver's options; `type` is 'postgres', 'mysql', 'sqljs', ... */
  readonly options: { readonly type: string }
  readonly driver: object
  readonly isInitialized: boolean
  readonly subscribers: readonly object[]
  readonly entityMetadatas: readonly EntityMetadataLike[]
  readonly migrations: readonly object[]
  initialize (): Promise<unknown>
  createQueryRunner (): object
}

/** TypeORM's metadata of an entity. */
export interface EntityMetadataLike {
  readonly name: string
  readonly targetName: string
  readonly tableName: string
  /** The entity's class, or its name where an EntitySchema gave no class. */
  readonly target: unknown
  readonly tableType: string
  readonly isJunction: boolean
  readonly parentEntityMetadata?: EntityMetadataLike | undefined
  /** Under single-table inheritance, the metadata of the children. */
  readonly childEntityMetadatas?: readonly object[]
  readonly discriminatorColumn?: { readonly databaseName: string } | undefined
  readonly discriminatorValue?: unknown
  /** The table with its schema and database: 'public.dog'. */
  readonly tablePath?: string
}

/** An `EntitySchema`. */
export interface EntitySchemaLike {
  readonly options: { readonly name: string, readonly target?: unknown }
}

/** A query runner: it runs statements on one connection while that is in use. */
export interface QueryRunnerLike {
  readonly isTransactionActive: boolean
  /** Transactions and savepoints that TypeORM itself has open; protected in TypeORM's types. */
  readonly transactionDepth?: number
  readonly isReleased?: boolean
  /** The driver's connection, once it has one. */
  readonly databaseConnection?: object | undefined
}

/** The fields of every event. Before 1.0 the data source is under `connection`. */
export interface EventLike {
  readonly dataSource?: DataSourceLike
  readonly connection?: DataSourceLike
  readonly queryRunner: QueryRunnerLike
}

/** An operation on an entity. */
export interface EntityEventLike extends EventLike {
  readonly metadata: EntityMetadataLike
  /** Undefined when a query builder deletes by criteria. */
  readonly entity?: unknown
  readonly entityId?: unknown
}

/** A query that is about to run. */
export interface QueryEventLike extends EventLike {
  readonly query: string
}

/** A query that has run. */
export interface QueryResultEventLike extends QueryEventLike {
  readonly success: boolean
  readonly parameters?: unknown
  readonly rawResults?: unknown
  readonly error?: unknown
  /** The changed rows, when TypeORM sends no event and its result has their number. */
  readonly affected?: number | undefined
}

/** The data source of an event. */
export function dataSourceOf (event: EventLike): DataSourceLike {
  return (event.dataSource ?? event.connection) as DataSourceLike
}

/** Whether the value is a data source; false also for a value that cannot be read. */
export function isDataSource (value: unknown): value is DataSourceLike {
  if (typeof value !== 'object' || value === null) return false
  return holds(() => {
    const { options, driver, subscribers, initialize, createQueryRunner } = value as Partial<DataSourceLike>
    return typeof options?.type === 'string' && typeof driver === 'object' && Array.isArray(subscribers) &&
      typeof initialize === 'function' && typeof createQueryRunner === 'function'
  })
}
