import type { CacheOperation, CacheRecorder } from '../../src/adapter.js'

/** How the reply to a command says of each key, or field of a key, that was read whether it was there. */
type Reading = 'value' | 'values' | 'hash'

/** A command of Redis as this adapter sees it. */
export interface RedisCommand {
  readonly operation: CacheOperation
  readonly reading?: Reading
  /** Blocks only with the argument BLOCK. */
  readonly mayBlock?: true
  readonly control?: 'multi' | 'exec' | 'discard'
}

type Exemplar = ReturnType<CacheRecorder['exemplar']>

const OTHER: RedisCommand = { operation: 'other' }
/** Stands for the commands that are not about what is cached. */
const CONNECTED: RedisCommand = { operation: 'other' }

/**
 * The commands that read values for a caller, each key or field of which is a hit or a miss. EXISTS, TTL and STRLEN
 * give no value, GETSET and SET GET write: they are neither. Of lists, sets and ranges no reply tells a key that is not
 * there from an empty part of it. A hash is never empty: an empty HGETALL is of a key that is not there.
 */
const READINGS: Readonly<Record<Reading, string>> = {
  value: 'get getex getdel hget json.get',
  values: 'mget hmget hgetex hgetdel json.mget',
  hash: 'hgetall'
}

const OPERATIONS: Readonly<Partial<Record<CacheOperation, string>>> = {
  set: 'set setex psetex setnx mset msetnx msetex getset append setrange hset hmset hsetnx hsetex json.set json.mset json.merge',
  delete: 'del unlink hdel json.del json.forget',
  has: 'exists hexists',
  touch: 'expire pexpire expireat pexpireat persist ttl pttl expiretime pexpiretime touch hexpire hpexpire hexpireat hpexpireat hpersist httl hpttl',
  increment: 'incr incrby incrbyfloat decr decrby hincrby hincrbyfloat json.numincrby',
  clear: 'flushdb flushall',
  scan: 'scan keys hscan sscan zscan',
  script: 'eval evalsha eval_ro evalsha_ro fcall fcall_ro',
  wait: 'blpop brpop brpoplpush blmove blmpop bzpopmin bzpopmax bzmpop wait waitaof'
}

/**
 * What is about the connection and not about what is cached. A client sends these by itself, too: when it connects, when
 * it subscribes again, or to see whether the server is there. So they are nobody's operation.
 */
const CONNECTION = 'auth hello select client info readonly readwrite asking cluster sentinel command ping quit reset monitor ' +
  'subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe unwatch'

const commands = new Map<string, RedisCommand>()
function name (names: string, command: RedisCommand): void {
  for (const each of names.split(' ')) commands.set(each, command)
}
for (const [operation, names] of Object.entries(OPERATIONS)) name(names, { operation: operation as CacheOperation })
for (const [reading, names] of Object.entries(READINGS)) name(names, { operation: 'get', reading: reading as Reading })
for (const control of ['multi', 'exec', 'discard'] as const) name(control, { operation: 'transaction', control })
name('xread xreadgroup', { operation: 'other', mayBlock: true })
name(CONNECTION, CONNECTED)
for (const [each, command] of [...commands]) commands.set(each.toUpperCase(), command)

const WAIT: RedisCommand = { operation: 'wait' }

/**
 * Knows a command by its name.
 * @param args its arguments, in which BLOCK may stand
 * @returns undefined for one that is not about what is cached
 */
export function commandOf (name: unknown, args: readonly unknown[]): RedisCommand | undefined {
  if (typeof name !== 'string') return Buffer.isBuffer(name) ? commandOf(name.toString(), args) : undefined
  const known = commands.get(name) ?? commands.get(name.toLowerCase()) ?? OTHER
  if (known === CONNECTED) return undefined
  return known.mayBlock === true && args.some((arg) => typeof arg === 'string' && arg.toUpperCase() === 'BLOCK') ? WAIT : known
}

/** How many keys or fields a reply says were there, and how many it speaks of. A reply of another shape says nothing. */
function hitsOf (reading: Reading, reply: unknown): readonly [hits: number, keys: number] {
  if (reading === 'value') return isThere(reply) ? ONE : NONE
  if (reading === 'hash') return isEmpty(reply) ? NONE : ONE
  if (!Array.isArray(reply)) return UNKNOWN
  let hits = 0
  for (const value of reply) if (isThere(value)) hits++
  return [hits, reply.length]
}

const ONE = [1, 1] as const
const NONE = [0, 1] as const
const UNKNOWN = [0, 0] as const

function isThere (value: unknown): boolean {
  return value !== null && value !== undefined
}

function isEmpty (reply: unknown): boolean {
  if (Array.isArray(reply)) return reply.length === 0
  if (reply instanceof Map) return reply.size === 0
  return typeof reply !== 'object' || reply === null || Object.keys(reply).length === 0
}

/** A command was answered. */
export function answered (recorder: CacheRecorder, { operation, reading }: RedisCommand, began: number, reply: unknown, exemplar: Exemplar): void {
  if (reading === undefined) {
    recorder.ended(operation, began, 0, 0, exemplar)
    return
  }
  const [hits, keys] = hitsOf(reading, reply)
  recorder.ended(operation, began, hits, keys - hits, exemplar)
}

/** A transaction was executed. @param replies to its commands; null when a key that it watched had changed */
export function executed (recorder: CacheRecorder, commands: ReadonlyArray<RedisCommand | undefined>, began: number, replies: unknown, exemplar: Exemplar): void {
  recorder.ended('transaction', began, 0, 0, exemplar)
  if (!Array.isArray(replies)) return
  for (const [i, reply] of replies.entries()) {
    if (reply instanceof Error) recorder.partFailed(commands[i]?.operation ?? 'transaction', reply, typeOfReply(reply))
    else if (commands[i]?.reading !== undefined) {
      const [hits, keys] = hitsOf(commands[i].reading, reply)
      recorder.keysRead(hits, keys - hits)
    }
  }
}

/** A command was answered with an error, or not at all. */
export function refused (recorder: CacheRecorder, { operation }: RedisCommand, began: number, reason: unknown, exemplar: Exemplar): void {
  recorder.record(() => { recorder.failed(operation, began, reason, exemplar, typeOfReply(reason)) })
}

/** The first words of the errors that Redis itself answers with. A script may answer with any, so the rest have none. */
const ERROR_WORDS = new Set(['ERR', 'WRONGTYPE', 'OOM', 'READONLY', 'LOADING', 'NOAUTH', 'NOPERM', 'WRONGPASS', 'MOVED', 'ASK', 'CLUSTERDOWN', 'CROSSSLOT',
  'TRYAGAIN', 'BUSY', 'BUSYKEY', 'BUSYGROUP', 'NOGROUP', 'MASTERDOWN', 'MISCONF', 'NOREPLICAS', 'NOSCRIPT', 'EXECABORT', 'UNBLOCKED', 'UNKILLABLE', 'NOPROTO'])
const FIRST_WORD = /^[A-Z]+/

/** The type of an error that Redis has sent: the word with which it begins, if it is Redis' own. */
function typeOfReply (reason: unknown): string | undefined {
  if (!isReply(reason)) return undefined
  const word = FIRST_WORD.exec(reason.message)?.[0]
  return word !== undefined && ERROR_WORDS.has(word) ? word : 'ReplyError'
}

/** Whether Redis has answered with this error, by the classes of redis-errors, ioredis and node-redis. */
export function isReply (reason: unknown): reason is Error {
  if (!(reason instanceof Error)) return false
  return reason.name === 'ReplyError' || /^(?:ReplyError|ErrorReply|SimpleError|BlobError)$/.test(reason.constructor.name)
}
