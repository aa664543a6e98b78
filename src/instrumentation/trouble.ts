import { metric, type Scope } from '../catalogue.js'
import type { Counter } from '../metrics/index.js'
import { MetricsError, show } from '../validation/errors.js'
import { errorTypeOf } from './error-type.js'

/** Logs a first failure where a person will read it. */
export type TroubleLog = (message: string, error: unknown) => void

/**
 * Takes the errors of instrumentation. An error is counted in metrics_instrumentation_errors_total, and logged if it is
 * the first of its source. It never reaches the application.
 */
export class Trouble {
  readonly #errors: Counter<'source'> | undefined
  readonly #log: TroubleLog
  readonly #logged = new Set<string>()

  /**
   * @param log default: a process warning
   * @param counts whether errors are counted, and not only logged
   */
  constructor (scope: Scope, log: TroubleLog = warn, counts = true) {
    this.#errors = counts ? metric('metrics_instrumentation_errors_total', scope) : undefined
    this.#log = log
  }

  /**
   * Never throws.
   * @param source what failed, from a closed set: 'http', 'pg', 'label tenant'
   */
  report (source: string, error: unknown): void {
    try {
      this.#errors?.inc({ source })
      if (this.#logged.has(source)) return
      this.#logged.add(source)
      const counted = this.#errors === undefined ? '' : 'counted in metrics_instrumentation_errors_total and '
      this.#log(`fastify-prometheus: ${source} failed; it is ${counted}not logged again`, withoutContent(error))
    } catch {
      // When the registry or the log itself fails, there is nowhere left to report it.
    }
  }
}

function warn (message: string, error: unknown): void {
  process.emitWarning(`${message}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`, { code: 'FP_WARN_INSTRUMENTATION' })
}

/**
 * An error in a form that may be logged. An error with a code comes from a driver or from Node, and its message may
 * hold an address, a statement or values of the statement: only its type and its stack frames are logged. A thrown
 * value that is no error is named by its kind.
 */
function withoutContent (error: unknown): unknown {
  if (error === undefined || error === null) return error
  if (!(error instanceof Error)) {
    if (typeof error === 'object' && Object.getPrototypeOf(error) === null) throw new TypeError('there is nothing to say of it')
    return `${show(error)} was thrown`
  }
  if (error instanceof MetricsError || !('code' in error || 'driverError' in error)) return error
  const shown = new Error(errorTypeOf(error))
  shown.stack = `Error: ${shown.message}${framesOf(error)}`
  return shown
}

function framesOf ({ stack = '', message }: Error): string {
  // The message may have lines that look like frames.
  const frames = stack.includes(message) ? stack.slice(stack.indexOf(message) + message.length) : ''
  return frames.startsWith('\n') ? frames : ''
}
