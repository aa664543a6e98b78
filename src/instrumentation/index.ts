// The parts that every observer uses, the adapters included.
export { SCOPE_OPTIONS, readMetrics, readRegistries, readScope } from './scope.js'
export { Trouble } from './trouble.js'
export { disguised, originalOf, overlayMethod, shadow, shadowMethod, witnessed, type Method } from './shadow.js'
export { OpenList, type Open } from './open-list.js'
export { addQuery, countUsage, currentUsage, type DatabaseUsage } from './usage.js'
export { Exemplars, QueryExemplars, type SpanContext } from './exemplars.js'
export { driverErrorOf, driverErrorTypeOf, errorTypeOf } from './error-type.js'
export { conditions } from './sqlstate.js'
