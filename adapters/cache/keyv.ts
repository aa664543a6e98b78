import { shadowMethod, type CacheOperation, type CacheRecorder, type Method } from '../../src/adapter.js'
import { HIT, MISS, NOTHING, readOf, readSafely, watched, type End } from './calls.js'
import { Failures, onReads } from './failures.js'
import { taken } from './restores.js'

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

/** On what stands for a Keyv during one call: that call. */
const CALL = Symbol('call')

function fail (call: Call, reason: unknown): void {
  call.failed++
  call.reason = reason
}

/**
 * Observes the calls of a Keyv. It gives undefined for a key that is not there, and for one whose store has failed: it
 * tells of the latter by an event, or not at all, so its store is listened in on.
 */
export function observeKeyv (keyv: Keyv, recorder: CacheRecorder): () => void {
  const failures = new Failures(recorder)
  /** The call that is about to read the store: it does so before it returns. */
  let current: Call | undefined
  const steps = [() => failures.events(keyv), () => onReads(keyv.opts.store, () => {
    const call = current
    return call === undefined || !recorder.active ? undefined : (reason) => { fail(call, reason) }
  })]
  // Keyv deletes what it finds expired, and gives calls for many keys to each other: by methods that are not observed.
  const inner = Object.create(keyv) as object
  const isPlain = isKeyvItself(keyv)

  for (const [name, operation] of Object.entries(METHODS)) {
    const method: unknown = Reflect.get(keyv, name)
    if (typeof method !== 'function') continue
    Object.defineProperty(inner, name, { value: method, writable: true })
    steps.push(() => shadowMethod(keyv, name, (original) => function (...args) {
      if (!recorder.active) return Reflect.apply(original, this, args)
      return observed(operation, name.includes('Many') || Array.isArray(args[0]), original, this, args)
    }))
  }
  const decode: unknown = Reflect.get(keyv, 'deserializeData')
  if (typeof decode === 'function') {
    Object.defineProperty(inner, 'deserializeData', {
      writable: true,
      value (this: { [CALL]?: Call }, ...args: unknown[]) {
        const { [CALL]: call } = this
        return call === undefined
          ? Reflect.apply(decode, this, args) as unknown
          : watched(decode as Method, this, args, { ended () {}, failed (reason) { fail(call, reason) } })
      }
    })
  }

  function observed (operation: CacheOperation, isMany: boolean, method: Method, caller: unknown, args: unknown[]): unknown {
    const began = recorder.now()
    const exemplar = recorder.exemplar()
    const seen = failures.count
    const call: Call = { failed: 0, reason: undefined }
    // Each key of many is decoded for itself, and of one that cannot be nobody is told.
    const self = caller !== keyv || !isPlain ? caller : isMany ? Object.create(inner, { [CALL]: { value: call } }) as object : inner
    const before = current
    const end: End = {
      ended (value) {
        if (!recorder.active) return
        const [hits, misses] = operation !== 'get' ? NOTHING : isMany ? readSafely(() => readOf(value, Array.isArray(args[0]) ? args[0].length : 0, isThere)) : isThere(value) ? HIT : MISS
        const isFailed = failures.count > seen
        const unread = isFailed ? misses : Math.min(call.failed, misses)
        if (unread > 0 || (isFailed && operation !== 'get' && value !== true)) recorder.failed(operation, began, isFailed ? failures.last : call.reason, exemplar)
        else recorder.ended(operation, began, 0, 0, exemplar)
        recorder.keysRead(hits, misses - unread)
      },
      failed (reason) {
        if (recorder.active) recorder.failed(operation, began, reason, exemplar)
      }
    }
    current = call
    try {
      return watched(method, self, args, end)
    } finally {
      current = before
    }
  }

  return taken(steps)
}

/** Whether a Keyv is of the class itself: one that extends it may have private fields, which only it has. */
function isKeyvItself (keyv: object): boolean {
  return Object.hasOwn(Object.getPrototypeOf(keyv) as object, 'getMany')
}

const isThere = (value: unknown) => value !== undefined

function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
