import type { Scope } from '../catalogue.js'
import { MOST_EXEMPLAR_CHARACTERS, isLabelName, type ExemplarSource, type Labels } from '../metrics/index.js'
import { show } from '../validation/errors.js'
import { Trouble } from './trouble.js'

/** The current trace and span, as `@opentelemetry/api` gives them (W3C Trace Context). */
export interface SpanContext {
  readonly traceId: string
  readonly spanId: string
  /** Bits: the lowest bit says that the trace is sampled, and so can be looked up. */
  readonly traceFlags: number
}

interface Span {
  spanContext (): SpanContext
}

const SAMPLED = 1
const SOURCE = 'exemplars'

/** The source of exemplars: the active span of OpenTelemetry, or a function of the user. No method throws. */
export class Exemplars<Of = void> {
  readonly #source: ExemplarSource<Of> | undefined
  readonly #ofActiveSpan: boolean
  readonly #trouble: Trouble

  /** @param option true, the default: the active span; false: no source; a function: that function and nothing else */
  constructor (option: boolean | ExemplarSource<Of> | undefined, trouble: Trouble) {
    this.#source = typeof option === 'function' ? option : undefined
    this.#ofActiveSpan = option === true || option === undefined
    this.#trouble = trouble
  }

  /** The span that is active here, if its trace is sampled. */
  span (): SpanContext | undefined {
    if (!this.#ofActiveSpan) return undefined
    try {
      const span = activeSpan()?.spanContext()
      return span !== undefined && (span.traceFlags & SAMPLED) === SAMPLED ? span : undefined
    } catch (error) {
      this.#trouble.report(SOURCE, error)
      return undefined
    }
  }

  /** The labels of a span. */
  ofSpan (span: SpanContext): Labels | undefined {
    try {
      const labels = { trace_id: span.traceId, span_id: span.spanId }
      return span.traceId.length === 32 && span.spanId.length === 16 ? labels : labelSet(labels)
    } catch (error) {
      this.#trouble.report(SOURCE, error)
      return undefined
    }
  }

  /** The labels that the user's function gives. */
  ofSource (of: Of): Labels | undefined {
    const source = this.#source
    if (source === undefined) return undefined
    try {
      return labelSet(source(of))
    } catch (error) {
      this.#trouble.report(SOURCE, error)
      return undefined
    }
  }
}

/** The exemplars of queries. */
export class QueryExemplars extends Exemplars {
  constructor (scope: Scope) {
    super(scope.exemplars, new Trouble(scope))
  }

  /** The labels for a query that starts now, from the active span or from the user's function. */
  here (): Labels | undefined {
    const span = this.span()
    return span === undefined ? this.ofSource() : this.ofSpan(span)
  }
}

/**
 * A frozen copy of the labels; undefined when there are none.
 * @throws TypeError, RangeError for a value that is no label set of an exemplar
 */
function labelSet (given: unknown): Labels | undefined {
  if (given === undefined || given === null) return undefined
  // Nothing else handles this promise, so its rejection would end the process.
  if (given instanceof Promise) given.catch(() => {})
  if (typeof given !== 'object' || Array.isArray(given) || given instanceof Promise) {
    throw new TypeError(`an exemplar must be an object of labels, { trace_id: '...' }, got ${show(given)}`)
  }
  const labels: Labels = {}
  let characters = 0
  for (const [name, value] of Object.entries(given) as Array<[string, unknown]>) {
    if (value === undefined) continue
    if (!isLabelName(name) || name.startsWith('__')) throw new TypeError(`an exemplar must have label names, got ${show(name)}`)
    if (typeof value !== 'string' && typeof value !== 'number') throw new TypeError(`an exemplar's '${name}' must be a string or a number, got ${show(value)}`)
    labels[name] = value
    characters += name.length + String(value).length
  }
  if (characters > MOST_EXEMPLAR_CHARACTERS) throw new RangeError(`an exemplar must have at most ${MOST_EXEMPLAR_CHARACTERS} characters in names and values, got ${characters}`)
  return characters === 0 ? undefined : Object.freeze(labels)
}

/**
 * The object in which `@opentelemetry/api` 1.x keeps an SDK, under its global symbol (its internal/global-utils.js). It
 * has nothing before an SDK is registered.
 */
interface TelemetryGlobal {
  readonly context?: { active (): { getValue (key: symbol): unknown } }
}

/** Where every copy of `@opentelemetry/api` 1.x looks for the SDK, bundled or not. */
const TELEMETRY = Symbol.for('opentelemetry.js.api.1')
/** The key of the span in a context (its trace/context-utils.js). */
const SPAN = Symbol.for('OpenTelemetry Context Key SPAN')

/** The result of `trace.getActiveSpan()` of `@opentelemetry/api`, without a module that a bundler might not find. */
function activeSpan (): Span | undefined {
  const { context } = (globalThis as { [TELEMETRY]?: TelemetryGlobal })[TELEMETRY] ?? {}
  return context?.active().getValue(SPAN) as Span | undefined
}
