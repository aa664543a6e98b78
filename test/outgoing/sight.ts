import { AsyncLocalStorage } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'

/** The program whose async context this is. */
export const context = new AsyncLocalStorage<string>()

export type Note = (...seen: unknown[]) => void
/** What an application does. It notes all that it can see. */
export type Program = (note: Note) => unknown

const OURS = /\/(?:src|adapters)\/[\w/-]+\.[jt]s/
/** Frames of the test's own runner, and of Node's where it goes by the number of listeners or by the turn. */
const LEFT_OUT = /undici-process|test\/outgoing\/sight|node:internal\/process\/task_queues|node:events|node:diagnostics_channel/
/** Of a string that is longer only the length is noted. */
const LONGEST = 1000
const DIFFER = /^(?:date|keep-alive|age)$/

/** What can be seen of a value, as text that is the same in each run: of an error, its properties, its causes and its stack too. */
export function sight (value: unknown): string {
  return JSON.stringify(plain(value, 0)).replaceAll(/(127\.0\.0\.1|localhost):\d{2,5}\b/g, '$1:PORT')
}

function plain (value: unknown, depth: number): unknown {
  if (depth > 6) return '...'
  if (value instanceof Error || value instanceof DOMException) return plainError(value, depth)
  if (typeof value === 'string' && value.length > LONGEST) return `${value.length} characters`
  if (typeof value === 'function') return `function ${value.name}/${value.length}`
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value)
  if (value === undefined) return 'undefined'
  if (typeof value !== 'object' || value === null) return value
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return `${value.length} bytes`
  if (Array.isArray(value)) return value.map((each) => plain(each, depth + 1))
  const { constructor } = value
  if (/^(?:Headers|Map)$/.test(constructor?.name)) return plain(Object.fromEntries(value as Iterable<[string, unknown]>), depth)
  if (constructor !== Object && typeof constructor === 'function') return `[${constructor.name}]`
  return Object.fromEntries(Object.entries(value).flatMap(([key, each]) => DIFFER.test(key) ? [] : [[key, /port$/i.test(key) ? 'PORT' : plain(each, depth + 1)]]))
}

function plainError (error: Error & { cause?: unknown, code?: unknown }, depth: number): object {
  const own = Object.fromEntries(Reflect.ownKeys(error).filter((key) => key !== 'stack' && key !== 'message').map((key) => {
    return [String(key), /port$/i.test(String(key)) ? 'PORT' : plain(Reflect.get(error, key), depth + 1)]
  }))
  return { text: String(error), class: error.constructor.name, code: error.code, ...own, frames: framesOf(error) }
}

function framesOf ({ stack = '' }: Error): string[] {
  return stack.split('\n').filter((line) => /^ {4}at /.test(line) && !LEFT_OUT.test(line)).map((line) => {
    return OURS.exec(line)?.[0] ?? line.trim().replace(/(?:file:\/\/)?\/\S*\/(node_modules|test)\//, '$1/').replace(/(node:[\w/]+)(:\d+)+/, '$1')
  })
}

/** Notes each event that an emitter emits from now on, in which async context, and what with. Several chunks are one. */
export function follow<E extends EventEmitter> (note: Note, who: string, emitter: E): E {
  const { emit } = emitter
  let last: unknown
  emitter.emit = function (event: string | symbol, ...args: unknown[]) {
    if (event !== 'newListener' && event !== 'removeListener' && !(event === 'data' && last === 'data')) note(who, event, context.getStore(), ...event === 'data' ? [] : args)
    last = event
    return Reflect.apply(emit, this, [event, ...args]) as boolean
  }
  return emitter
}

/** How many sockets and requests an agent of node:http has, of each kind. */
export function agentSight ({ freeSockets, sockets, requests }: { readonly [K in 'freeSockets' | 'sockets' | 'requests']: NodeJS.ReadOnlyDict<unknown[]> }): Record<string, number> {
  const count = (lists: NodeJS.ReadOnlyDict<unknown[]>) => Object.values(lists).reduce((sum, list) => sum + (list?.length ?? 0), 0)
  return { free: count(freeSockets), used: count(sockets), waiting: count(requests) }
}
