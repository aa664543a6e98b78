import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter, once } from 'node:events'

/** What an application saw in each scene, in order. */
export type Record = { [scene: string]: string[] }

/** Turns of the event loop after which nothing more of a scene comes: a rejection, an 'end' of what was not read, a log line of what failed late. */
const TURNS = 6
/** Microtasks and ticks that are told apart, from a request's first hook on. */
const MICROTASKS = 60
/** No scene takes this long on any machine: what it waits for does not come. */
const STUCK_MS = 20_000

/** Frames that are compared of each stack. */
const FRAMES = 10
/** Frames of this package, and of the tracing channel that a handler runs in. */
const OURS = /\bsrc\/|node:diagnostics_channel/
/** Fastify's own frames between hooks: how many there are goes by the number of hooks, whoever added them. */
const BETWEEN_HOOKS = /\bfastify[^/]*\/lib\/hooks\.js/
/** Frames of who plays the scenes, and not of the application. */
const OF_THE_TEST = /\btest\/(http\/|support\/(?!scenes\.))/
const ENTERS_CONTEXT = /^at AsyncLocalStorage\.run /

/** Writes down what an application sees, scene by scene. */
export class Recorder {
  readonly record: Record = {}
  /** What each object of the application has and who listens to it, under the place where it was looked at. */
  readonly shapes: Record = {}
  /** Warnings apart: Fastify gives each of its own once a process. */
  readonly warnings: string[] = []
  /** Where the frames are that are left out of stacks, each once. */
  readonly frames = new Set<string>()
  /** The context that the application makes for each request. */
  readonly context = new AsyncLocalStorage<string>()
  readonly #events = new EventEmitter()
  #notes: string[] = []
  #open = 0
  #reached = false
  #microtasks = 0
  #ticks = 0

  note (...values: unknown[]): void {
    this.#notes.push(values.map((value) => typeof value === 'string' ? value : JSON.stringify(value)).join(' '))
  }

  shape (place: string, objects: { [name: string]: object | null | undefined }): void {
    this.shapes[place] = Object.entries(objects).flatMap(([name, object]) => object === null || object === undefined ? [] : shapeOf(name, object))
  }

  /** Something of the scene begins, and the scene is not over before it ends. @returns ends it, once */
  begin (): () => void {
    this.#open++
    let ended = false
    return () => {
      if (ended) return
      ended = true
      if (--this.#open === 0) this.#events.emit('quiet')
    }
  }

  /** The scene has come to where its client may leave. */
  reach (): void {
    this.#reached = true
    this.#events.emit('reached')
  }

  async reached (): Promise<void> {
    if (!this.#reached) await new Promise((resolve) => this.#events.once('reached', resolve))
    await turns()
  }

  /** Counts microtasks and ticks from here on: what runs between two hooks shows in where(). */
  startCounting (): void {
    this.#microtasks = this.#ticks = 0
    const microtask = () => { if (++this.#microtasks < MICROTASKS) queueMicrotask(microtask) }
    const tick = () => { if (++this.#ticks < MICROTASKS) process.nextTick(tick) }
    queueMicrotask(microtask)
    process.nextTick(tick)
  }

  /** An error with its code and its innermost frames. */
  error (error: unknown): string {
    if (!(error instanceof Error)) return String(error)
    const { name, message, code, stack } = error as NodeJS.ErrnoException
    return [`${name} ${code} ${message}`, ...this.stack(stack)].join('\n')
  }

  /** The innermost frames of a stack, without those that are there on purpose. */
  stack (stack = ''): string[] {
    const lines = stack.split('\n').filter((line) => line.startsWith('    at ')).map((line) => line.trim()
      .replace(/(file:\/\/)?\/\S*\/(node_modules|test|src)\//, '$2/')
      // Node's emit() has a line for one listener and a line for several.
      .replace(/(node:\w+)(:\d+)+/, '$1'))
    return lines.filter((line, i) => {
      const ours = OURS.test(line) || (ENTERS_CONTEXT.test(line) && OURS.test(lines[i + 1] ?? ''))
      if (ours) this.frames.add(/node:diagnostics_channel|src\/[\w/-]+\.ts|AsyncLocalStorage\.run/.exec(line)?.[0] ?? line)
      return !ours && !BETWEEN_HOOKS.test(line) && !OF_THE_TEST.test(line)
    }).slice(0, FRAMES)
  }

  /** Where in the order of things this is: the async context, and how many microtasks and ticks ran. */
  where (): string {
    return `in ${this.context.getStore() ?? 'no context'} after ${this.#microtasks} microtasks, ${this.#ticks} ticks`
  }

  /** Plays a scene to its end. @returns what it was answered */
  async scene (name: string, play: () => Promise<unknown>): Promise<unknown> {
    const stuck = new AbortController()
    const isStuck = setTimeout(() => stuck.abort(new Error(`'${name}' does not end: ${this.#notes.join(' | ')}`)), STUCK_MS)
    try {
      return await Promise.race([this.#play(name, play), once(stuck.signal, 'abort').then(() => { throw stuck.signal.reason })])
    } finally {
      clearTimeout(isStuck)
    }
  }

  async #play (name: string, play: () => Promise<unknown>): Promise<unknown> {
    this.#notes = this.record[name] = []
    this.#reached = false
    let answer
    try {
      answer = await play()
    } catch (error) {
      answer = `threw ${this.error(error)}`
    }
    do {
      if (this.#open > 0) await new Promise((resolve) => this.#events.once('quiet', resolve))
      await turns()
    } while (this.#open > 0)
    this.note('answer', answer)
    return answer
  }

  /** Writes down what nobody handled too, until the function it gives back is called. */
  watchProcess (): () => void {
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 3 * FRAMES
    // It takes longer than all else here to find the lines of each frame.
    process.setSourceMapsEnabled(false)
    const rejected = (reason: unknown) => this.note('unhandled rejection', this.error(reason))
    const thrown = (error: unknown) => this.note('uncaught exception', this.error(error))
    const warned = (warning: Error & { code?: string }) => { this.warnings.push(`${warning.name} ${warning.code} ${warning.message}`) }
    process.on('unhandledRejection', rejected).on('uncaughtException', thrown).on('warning', warned)
    return () => {
      process.off('unhandledRejection', rejected).off('uncaughtException', thrown).off('warning', warned)
      Error.stackTraceLimit = stackTraceLimit
      process.setSourceMapsEnabled(true)
    }
  }
}

async function turns (): Promise<void> {
  for (let i = 0; i < TURNS; i++) await new Promise(setImmediate)
}

/** What an object has of its own, and one line for each listener. */
function shapeOf (name: string, object: object): string[] {
  const keys = Reflect.ownKeys(object).map((key) => {
    const value: unknown = Object.getOwnPropertyDescriptor(object, key)?.value
    return `${name} has ${String(key)}${typeof value === 'function' ? `, a function ${value.name}/${value.length}` : ''}`
  })
  if (!(object instanceof EventEmitter)) return keys
  return [...keys, ...object.eventNames().flatMap((event) => object.listeners(event).map(() => `${name} listens to ${String(event)}`))]
}

/** What one list has that another has not, each as often: '+ response listens to close'. */
export function differences (bare: readonly string[] = [], observed: readonly string[] = []): string[] {
  const less = (from: readonly string[], what: readonly string[]) => {
    const left = [...from]
    for (const each of what) {
      const at = left.indexOf(each)
      if (at >= 0) left.splice(at, 1)
    }
    return left
  }
  return [...less(observed, bare).map((line) => `+ ${line}`), ...less(bare, observed).map((line) => `- ${line}`)].sort()
}
