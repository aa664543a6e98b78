import { overlayMethod, shadow, type CacheRecorder, type Method } from '../../src/adapter.js'
import { settled, watched, type End } from './calls.js'
import { answered, commandOf, executed, refused, type RedisCommand } from './redis-commands.js'
import { taken } from './restores.js'

/** A client, a pool or a cluster of node-redis, as this adapter sees it: what is given out has the real one as `_self`. */
export interface NodeRedis {
  readonly _self: object
}

interface Parser {
  readonly redisArgs: readonly unknown[]
}

type Class = new (...args: unknown[]) => object
type Client = NodeRedis & { readonly clientSideCache?: unknown }

export function isNodeRedis (value: object): value is NodeRedis {
  const { _self, sendCommand } = value as { _self?: unknown, sendCommand?: unknown }
  return typeof _self === 'object' && _self !== null && typeof sendCommand === 'function' && [isClient, isPool, isCluster].some((is) => is(_self))
}

function isClient (self: object): boolean {
  const { _executeCommand, _executeMulti } = self as Partial<Record<'_executeCommand' | '_executeMulti', unknown>>
  return typeof _executeCommand === 'function' && typeof _executeMulti === 'function'
}

function isPool (self: object): boolean {
  return typeof (self as { execute?: unknown }).execute === 'function' && 'tasksQueueLength' in self
}

function isCluster (self: object): boolean {
  return typeof (self as { _executeWithPolicies?: unknown })._executeWithPolicies === 'function'
}

export function observeNodeRedis ({ _self: self }: NodeRedis, recorder: CacheRecorder): () => void {
  if (isPool(self)) return observePool(self, recorder)
  return taken([() => isCluster(self) ? observeCluster(self, recorder) : observeClient(self as Client, recorder), () => observeMulti(self, recorder)])
}

/**
 * All that an application asks goes through `sendCommand`; what the client says to the server by itself goes around it.
 * Commands that have a method of their own are observed where that begins: their reply is decoded there, which may fail,
 * and one from the cache of the client itself is never sent.
 */
function observeClient (client: Client, recorder: CacheRecorder): () => void {
  const cachesItself = client.clientSideCache !== undefined
  /** The arguments of commands that are observed already, and may be sent later or twice. */
  const begun = new WeakSet<object>()
  /** Whether a command that is observed already is about to be sent. */
  let isBegun = false
  const whole = (name: string, mayWait: boolean) => overlayMethod(client, name, (under) => function (...args) {
    const { redisArgs } = (args[1] ?? {}) as Partial<Parser>
    const end = isJson(redisArgs) ? undefined : endOf(recorder, redisArgs)
    if (redisArgs === undefined || end === undefined) return Reflect.apply(under[name] as Method, this, args)
    if (mayWait) begun.add(redisArgs)
    let result
    isBegun = true
    try {
      result = Reflect.apply(under[name] as Method, this, args)
    } catch (error) {
      end.failed(error)
      throw error
    } finally {
      isBegun = false
    }
    return settled(result, end)
  })
  return taken([
    () => overlayMethod(client, 'sendCommand', (under) => function (...args) {
      const [sent] = args
      const isOwn = isBegun
      isBegun = false
      const end = isOwn || !Array.isArray(sent) || begun.has(sent) ? undefined : endOf(recorder, sent)
      return end === undefined ? Reflect.apply(under.sendCommand, this, args) : watched(under.sendCommand, this, args, end)
    }),
    () => whole('_executeCommand', cachesItself),
    // It is sent by its hash, and whole when Redis does not know that.
    () => whole('_executeScript', true)
  ])
}

/** A cluster sends a command again where it was moved to, and splits one of many keys. */
function observeCluster (cluster: object, recorder: CacheRecorder): () => void {
  return overlayMethod(cluster, '_executeWithPolicies', (under) => function (...args) {
    const { redisArgs } = (args[0] ?? {}) as Partial<Parser>
    const end = endOf(recorder, redisArgs, true)
    return end === undefined ? Reflect.apply(under._executeWithPolicies, this, args) : watched(under._executeWithPolicies, this, args, end)
  })
}

/** The clients of a pool are observed when a caller gets one, and let go when the pool lets them go. */
function observePool (pool: object, recorder: CacheRecorder): () => void {
  const restores = new WeakMap<object, () => void>()
  let clients: Array<WeakRef<object>> = []
  /** Whether a batch asks for a client: it has its own end, with or without one. */
  let isBatch = false
  const observe = (client: unknown) => {
    if (typeof client !== 'object' || client === null || !isNodeRedis(client) || restores.has(client._self)) return
    clients = clients.filter((each) => each.deref() !== undefined)
    clients.push(new WeakRef(client._self))
    restores.set(client._self, observeNodeRedis(client, recorder))
  }
  const restorePool = overlayMethod(pool, 'execute', (under) => function (...args) {
    const [use] = args
    if (!recorder.active || isBatch || typeof use !== 'function') return Reflect.apply(under.execute, this, args)
    const began = recorder.now()
    const exemplar = recorder.exemplar()
    let isUsed = false
    const observed = (...given: unknown[]) => {
      isUsed = true
      if (recorder.active) recorder.record(() => { observe(given[0]) })
      return Reflect.apply(use, undefined, given) as unknown
    }
    // The caller got no client, and its command was never sent.
    return watched(under.execute, this, [observed, ...args.slice(1)], { ended () {}, failed (reason) { if (!isUsed && recorder.active) recorder.failed('other', began, reason, exemplar) } })
  })
  const restoreMulti = observeMulti(pool, recorder, (send) => {
    isBatch = true
    try {
      return (send as Method)()
    } finally {
      isBatch = false
    }
  })
  return () => {
    restorePool()
    restoreMulti()
    for (const client of clients) {
      const there = client.deref()
      if (there !== undefined) restores.get(there)?.()
    }
  }
}

/** What `multi()` makes is given the functions that send its commands, which have these as their only array. */
function observeMulti (self: object, recorder: CacheRecorder, around: Method = (send) => (send as Method)()): () => void {
  const { Multi } = self as { Multi?: Class }
  if (typeof Multi !== 'function') return () => {}
  return shadow(self, 'Multi', new Proxy(Multi, {
    construct (target, [multi, pipeline, ...rest], newTarget) {
      const given = recorder.active ? [observedBatch(recorder, multi as Method, true, around), observedBatch(recorder, pipeline as Method, false, around)] : [multi, pipeline]
      return Reflect.construct(target, [...given, ...rest], newTarget) as object
    }
  }))
}

function observedBatch (recorder: CacheRecorder, send: Method, isTransaction: boolean, around: Method): Method {
  return function (...args) {
    const sent = args.find(Array.isArray) as ReadonlyArray<{ readonly args?: readonly unknown[] }> | undefined
    if (!recorder.active || sent === undefined) return Reflect.apply(send, this, args)
    let commands: Array<RedisCommand | undefined> = []
    recorder.record(() => { commands = sent.map(({ args: each = [] }) => commandOf(each[0], each)) })
    const began = recorder.now()
    const exemplar = recorder.exemplar()
    return watched(around, undefined, [() => Reflect.apply(send, this, args)], {
      ended (replies) {
        if (recorder.active) recorder.record(() => { batchAnswered(recorder, commands, began, replies, exemplar, isTransaction) })
      },
      failed (reason) {
        if (recorder.active) refused(recorder, isTransaction ? TRANSACTION : commands.length === 1 && commands[0] !== undefined ? commands[0] : OTHER, began, reason, exemplar)
      }
    })
  }
}

const TRANSACTION: RedisCommand = { operation: 'transaction' }
const OTHER: RedisCommand = { operation: 'other' }

function batchAnswered (recorder: CacheRecorder, commands: ReadonlyArray<RedisCommand | undefined>, began: number, replies: unknown,
  exemplar: ReturnType<CacheRecorder['exemplar']>, isTransaction: boolean): void {
  if (isTransaction) return executed(recorder, commands, began, replies, exemplar)
  for (const [i, command] of commands.entries()) if (command !== undefined) answered(recorder, command, began, (replies as unknown[])[i], exemplar)
}

/**
 * Observes what a command is answered with, from now on.
 * @param isDecoded whether its answer is told as the application has it, and not as it came
 * @returns undefined for one that is nobody's operation
 */
function endOf (recorder: CacheRecorder, args: readonly unknown[] | undefined, isDecoded = false): End | undefined {
  if (!recorder.active || !Array.isArray(args)) return undefined
  const command = known(args, isDecoded)
  if (command === undefined) return undefined
  const began = recorder.now()
  const exemplar = recorder.exemplar()
  return {
    ended (reply) { if (recorder.active) recorder.record(() => { answered(recorder, command, began, reply, exemplar) }) },
    failed (reason) { if (recorder.active) refused(recorder, command, began, reason, exemplar) }
  }
}

function known (args: readonly unknown[], isDecoded: boolean): RedisCommand | undefined {
  const command = commandOf(args[0], args)
  return command?.reading !== undefined && isDecoded && isJson(args) ? { operation: command.operation } : command
}

/** Whether a command is of RedisJSON: its own null is decoded to what stands for a key that is not there. */
function isJson (args: readonly unknown[] | undefined): boolean {
  const name = args?.[0]
  return typeof name === 'string' && /^json[.]/i.test(name)
}
