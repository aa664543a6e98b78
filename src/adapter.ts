/**
 * What an adapter stands on: 'fastify-prometheus/adapter'. The adapters of this package know this and nothing else.
 * docs/adapters.md writes one for a driver that this package does not have.
 */
export { metric, type Scope } from './catalogue.js'
export type { Counter, CounterChild, GaugeChild } from './metrics/index.js'
export { DatabaseRecorder, Query, type Caller, type PoolNumbers } from './database/recorder.js'
export { DATABASE_DEFAULTS, readDatabaseScope, type DatabaseScope } from './database/metrics.js'
export { Activity } from './database/activity.js'
export { operationOf, type Operation } from './database/operation.js'
export { CacheRecorder } from './cache/recorder.js'
export { CACHE_DEFAULTS, readCacheScope, type CacheScope } from './cache/scope.js'
export { cacheOperations, type CacheOperation } from './cache/operation.js'
export { OutgoingRecorder } from './outgoing/recorder.js'
export { OutgoingRequest } from './outgoing/request.js'
export { OUTGOING_DEFAULTS, readOutgoingScope, type OutgoingScope } from './outgoing/options.js'
export { Observed, Trouble, describeTarget, disguised, driverErrorTypeOf, errorTypeOf, originalOf, overlayMethod, readOptions, shadow, shadowMethod, witnessed, type Method } from './instrumentation/index.js'
export { MetricsError, invalidOption } from './validation/errors.js'
export { holds } from './validation/given.js'
