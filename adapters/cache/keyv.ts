import { shadowMethod, type CacheOperation, type CacheRecorder, type Method } from '../../src/adapter.js'
import { HIT, MISS, NOTHING, isThenable, readOf } from './calls.js'
import { Failures } from './failures.js'

/** A Keyv, as this adapter sees it. */
export interface Keyv {
  readonly opts: { readonly store?: unknown }
}

const METHODS = {
  get: 'get',
  getMany: 'get',
  getRaw: 'get',
  getManyRaw: 'get',
  set: 'set',
  setMany: 'set',
  setRaw: 'set',
  setManyRaw: 'set',
  delete: 'delete',
  deleteMany: 'delete',
  has: 'has',
  hasMany: 'has',
  clear: 'clear'
} as const satisfies Readonly<Record<string, CacheOperation>>

export function isKeyv (value: object): value is Keyv {
  const { get, getMany, opts, hooks, stats } = value as Record<string, unknown>
  return typeof get === 'function' && typeof getMany === 'function' && isObject(opts) && 'store' in opts && isObject(hooks) && isObject(stats)
}

/** What one call has met on its way through the store. */
interface Call {
  /** How many reads of the store have failed of which the caller is not told. */
  failed: number
  reason: unknown
}

/**
 * Observes the calls of a Keyv. It gives undefined for a key that is not there, and for one whose store has failed: it
 * tells of the latter by an event, or not at all, so its store is listened in on.
 */
export function observeKeyv (keyv: Keyv, recorder: CacheRecorder): () => void {
  const failures = new Failures()
  const restores = [failures.of(keyv, recorder)]
  /** The call that is about to read the store: it does so before it returns. */
  let current: Call | undefined
  const { store } = keyv.opts
  if (isObject(store) && !(store instanceof Map)) restores.push(listenIn(store))
  // Keyv deletes what it finds expired, and gives calls for many keys to each other: by methods that are not observed.
  const inner = Object.create(keyv) as object
  const isPlain = isKeyvItself(keyv)

  for (const [name, operation] of Object.entries(METHODS)) {
    const method: unknown = Reflect.get(keyv, name)
    if (typeof method !== 'function') continue
    Object.defineProperty(inner, name, { value: method, writable: true })
    restores.push(shadowMethod(keyv, name, (original) => function (...args) {
      if (!recorder.active) return Reflect.apply(original, this, args)
      return observed(operation, name.includes('Many') || Array.isArray(args[0]), original, this === keyv && isPlain ? inner : this, args)
    }))
  }

  function observed (operation: CacheOperation, isMany: boolean, method: Method, self: unknown, args: unknown[]): unknown {
    const began = recorder.now()
    const exemplar = recorder.exemplar()
    const seen = failures.count
    const call: Call = { failed: 0, reason: undefined }
    const before = current
    current = call
    let result
    try {
      result = Reflect.apply(method, self, args)
    } finally {
      current = before
    }
    if (!isThenable(result)) return result
    return result.then((value) => {
      if (!recorder.active) return value
      recorder.record(() => {
        const isFailed = failures.count > seen
        const [hits, misses] = operation !== 'get' ? NOTHING : isMany ? readOf(value as unknown[], isThere) : isThere(value) ? HIT : MISS
        const unread = isFailed ? misses : Math.min(call.failed, misses)
        if (unread > 0 || (isFailed && operation !== 'get' && value !== true)) recorder.failed(operation, began, isFailed ? failures.last : call.reason, exemplar)
        else recorder.ended(operation, began, 0, 0, exemplar)
        recorder.keysRead(hits, misses - unread)
      })
      return value
    }, (reason: unknown) => {
      if (recorder.active) recorder.failed(operation, began, reason, exemplar)
      throw reason
    })
  }

  function listenIn (store: object): () => void {
    return shadowMethod(store, 'get', (get) => function (...args) {
      const call = current
      if (call === undefined || !recorder.active) return Reflect.apply(get, this, args)
      const failed = (reason: unknown) => {
        call.failed++
        call.reason = reason
      }
      let result
      try {
        result = Reflect.apply(get, this, args)
      } catch (error) {
        failed(error)
        throw error
      }
      return !isThenable(result)
        ? result
        : result.then((value) => value, (reason: unknown) => {
          failed(reason)
          throw reason
        })
    })
  }

  return () => { for (const restore of restores) restore() }
}

/** Whether a Keyv is of the class itself: one that extends it may have private fields, which only it has. */
function isKeyvItself (keyv: object): boolean {
  return Object.hasOwn(Object.getPrototypeOf(keyv) as object, 'getMany')
}

const isThere = (value: unknown) => value !== undefined

function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
