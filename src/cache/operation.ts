/**
 * What is asked of a cache: the label `operation`, whatever the client calls it. `get` reads the values of keys, and
 * alone has hits and misses. `has` asks for no value, `touch` is about expiry, `wait` blocks until something happens.
 */
export const cacheOperations = ['get', 'set', 'delete', 'has', 'touch', 'increment', 'clear', 'scan', 'script', 'transaction', 'wait', 'other'] as const

export type CacheOperation = typeof cacheOperations[number]
