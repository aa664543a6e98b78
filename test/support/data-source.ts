import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { DataSource, type DataSourceOptions } from 'typeorm'
import { DataSource as OldDataSource } from 'typeorm-0.3'
import { instrumentDataSource, modelOpsSubscriber, type InstrumentDataSourceOptions, type ModelTarget } from '../../adapters/typeorm.js'

/** Makes a data source of TypeORM 1. */
export function newDataSource (options: object): DataSource {
  return new DataSource(options as DataSourceOptions)
}

/** Makes a data source of TypeORM 0.3.20, the oldest that the adapter takes. Tests use it as one of TypeORM 1. */
export function oldDataSource (options: object): DataSource {
  return new OldDataSource(options as never) as unknown as DataSource
}

export const VERSIONS = { 'typeorm 1': newDataSource, 'typeorm 0.3.20': oldDataSource }

/** Initializes a data source, which is destroyed at teardown. */
export async function initialized (t: Test, dataSource: DataSource): Promise<DataSource> {
  await dataSource.initialize()
  destroyedAtTeardown(t, dataSource)
  return dataSource
}

/** Initializes a data source whose operations on some models are counted in a registry of its own. */
export async function counted (t: Test, dataSource: DataSource, models?: ModelTarget | ModelTarget[]): Promise<{ dataSource: DataSource, registry: Registry }> {
  await initialized(t, dataSource)
  const registry = new Registry()
  dataSource.subscribers.push(modelOpsSubscriber(models, { registry }))
  return { dataSource, registry }
}

/**
 * Instruments a data source, which is destroyed at teardown if it is initialized then.
 * @param options without a registry it has its own; without `migrations` these are not counted
 */
export function instrumented (t: Test, dataSource: DataSource, options: InstrumentDataSourceOptions = {}): { dataSource: DataSource, registry: Registry, undo: () => void } {
  const registry = new Registry()
  const undo = instrumentDataSource(dataSource, { registry, migrations: false, ...options })
  destroyedAtTeardown(t, dataSource)
  return { dataSource, registry, undo }
}

function destroyedAtTeardown (t: Test, dataSource: DataSource): void {
  t.teardown(async () => { if (dataSource.isInitialized) await dataSource.destroy() })
}
