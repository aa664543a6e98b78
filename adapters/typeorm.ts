export { modelOpsSubscriber, type ModelOpsOptions, type ModelOpsSubscriber } from './typeorm/subscriber.js'
export { instrumentDataSource, refreshMigrations, type InstrumentDataSourceOptions } from './typeorm/data-source.js'
export type { ModelTarget } from './typeorm/models.js'
export type { DataSourceLike, EntityEventLike, EntityMetadataLike, EntitySchemaLike, EventLike, QueryResultEventLike, QueryRunnerLike } from './typeorm/shapes.js'
