import { metric, type Scope } from '../catalogue.js'
import { SCOPE_OPTIONS, Trouble, describeTarget, readScope, shadow } from '../instrumentation/index.js'
import type { Counter, CounterChild } from '../metrics/index.js'
import { MetricsError } from '../validation/errors.js'
import { holds, readKnown } from '../validation/given.js'

/** A logger of pino 9 or 10, or a child of one, known by its shape. */
export interface LoggerLike {
  readonly level: string
  child (bindings: never, ...more: never[]): unknown
}

/** Options of instrumentLogger: `registry`, `prefix`, `maxSeries`. */
export type LoggerOptions = Pick<Scope, 'registry' | 'prefix' | 'maxSeries'>

/** Writes one line (pino/lib/proto.js, write); `level` is a number. */
type Write = (this: Writer, object: unknown, message: unknown, level: number) => unknown

interface Writer {
  readonly levels?: { readonly labels?: Readonly<Record<number, string | undefined>>, readonly values?: Readonly<Record<string, number>> }
}

/** The levels that are counted under their names; the lines of all others are together. */
const MOST_LEVELS = 20
const LONGEST = 64
const OTHER = '_OTHER'

/** What counts the lines of one logger. */
interface Count {
  readonly lines: Lines
  /** How many ask for it. */
  users: number
  end: () => void
}

/** The lines of a metric, by level. */
class Lines {
  readonly family: Counter<'level'>
  readonly #levels = new Map<string, CounterChild<'level'>>()
  readonly #trouble: Trouble

  constructor (family: Counter<'level'>, trouble: Trouble) {
    this.family = family
    this.#trouble = trouble
  }

  /** Shows the levels of a logger, at zero until it writes. */
  show ({ levels }: Writer): void {
    for (const level of Object.keys(levels?.values ?? {})) this.#of(level).inc(0)
  }

  /** A line was written. Never throws. */
  count (writer: Writer, level: number): void {
    try {
      this.#of(writer.levels?.labels?.[level] ?? OTHER).inc()
    } catch (error) {
      this.#trouble.report('log', error)
    }
  }

  #of (level: string): CounterChild<'level'> {
    const known = this.#levels.get(level)
    if (known !== undefined) return known
    const isOther = level === OTHER || this.#levels.size >= MOST_LEVELS || level.length > LONGEST
    if (isOther && level !== OTHER) return this.#of(OTHER)
    const child = this.family.labels({ level })
    this.#levels.set(level, child)
    return child
  }
}

/** What counts the lines of each logger, by the metric. */
const counts = new WeakMap<object, Map<object, Count>>()
/** The metric of each write of ours. */
const metrics = new WeakMap<object, object>()

/**
 * Counts the lines that a logger of pino writes, by level, with those of all its children. What is not written because
 * of its level is not counted. A line is counted once, if a parent of the logger is counted by the same metric too.
 * @returns a function that restores the logger
 * @throws MetricsError FP_ERR_INVALID_TARGET when it is no logger of pino, FP_ERR_INVALID_OPTION, FP_ERR_METRIC_CONFLICT
 */
export function instrumentLogger (logger: LoggerLike, options: LoggerOptions = {}): () => void {
  const scope = readScope('instrumentLogger', readKnown('instrumentLogger', options, SCOPE_OPTIONS))
  if (!isPino(logger)) {
    throw new MetricsError('FP_ERR_INVALID_TARGET', `instrumentLogger expects a logger of pino 9 or 10, got ${describeTarget(logger)}`)
  }
  return countLines(logger, scope, new Trouble(scope))
}

/** Whether a logger can be counted. */
export function isPino (logger: unknown): logger is LoggerLike {
  return typeof logger === 'object' && logger !== null && holds(() => writeOf(logger) !== undefined)
}

/** Counts the lines of a logger of pino. @returns a function that restores it */
export function countLines (logger: object, scope: Scope, trouble: Trouble): () => void {
  const name = writeOf(logger)
  if (name === undefined) return () => {}
  const family = metric('log_messages_total', scope)
  const count = counts.get(logger)?.get(family) ?? begin(logger, name, new Lines(family, trouble))
  count.lines.show(logger)
  count.users++
  let ended = false
  return () => {
    if (ended) return
    ended = true
    if (--count.users === 0) count.end()
  }
}

/**
 * Each line of a logger and of its children is written by one method, which children inherit by prototype: whatever
 * their levels are, and whatever a `logMethod` of the application has left of the call. So that one is put over.
 */
function begin (logger: object, name: symbol, lines: Lines): Count {
  const own = Object.hasOwn(logger, name) ? Reflect.get(logger, name) as Write : undefined
  const above = Object.getPrototypeOf(logger) as Record<symbol, Write>
  let active = true
  const write: Write = function (object, message, level) {
    const under = own ?? above[name] as Write
    const result: unknown = under.call(this, object, message, level)
    // A parent that is counted too has counted the line.
    if (active && metrics.get(under) !== lines.family) lines.count(this, level)
    return result
  }
  Object.defineProperty(write, 'name', { value: (own ?? above[name])?.name, configurable: true })
  metrics.set(write, lines.family)
  const restore = shadow(logger, name, write)
  const ofLogger = counts.get(logger) ?? new Map<object, Count>()
  counts.set(logger, ofLogger)
  const count: Count = {
    lines,
    users: 0,
    end: () => {
      active = false
      metrics.delete(write)
      restore()
      ofLogger.delete(lines.family)
    }
  }
  ofLogger.set(lines.family, count)
  return count
}

/** pino's name of the method that writes: each copy of pino has a symbol of its own (pino/lib/symbols.js). */
function writeOf (logger: object): symbol | undefined {
  for (let each: object | null = logger; each !== null; each = Object.getPrototypeOf(each) as object | null) {
    const found = Object.getOwnPropertySymbols(each).find((symbol) => symbol.description === 'pino.write')
    if (found !== undefined) return typeof Reflect.get(logger, found) === 'function' ? found : undefined
  }
  return undefined
}
