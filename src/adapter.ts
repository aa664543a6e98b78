/**
 * What an adapter stands on: 'fastify-prometheus/adapter'. The adapters of this package know this and nothing else.
 * docs/adapters.md writes one for a driver that this package does not have.
 */
export { DatabaseRecorder, Query, type Caller, type PoolNumbers } from './database/recorder.js'
export { DATABASE_DEFAULTS, readDatabaseScope, type DatabaseScope } from './database/metrics.js'
export { Activity } from './database/activity.js'
export { operationOf, type Operation } from './database/operation.js'
export { CacheRecorder } from './cache/recorder.js'
export { CACHE_DEFAULTS, readCacheScope, type CacheScope } from './cache/scope.js'
export { cacheOperations, type CacheOperation } from './cache/operation.js'
export { Observed, describeTarget, disguised, driverErrorTypeOf, errorTypeOf, originalOf, overlayMethod, shadow, shadowMethod, witnessed, type Method } from './instrumentation/index.js'
export { MetricsError } from './validation/errors.js'
export { holds } from './validation/given.js'
