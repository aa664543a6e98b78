import { metric, type Scope } from './catalogue.js'
import type { Counter } from './metrics/index.js'

/** Says a first failure somewhere a person will read it. */
export type TroubleLog = (message: string, error: unknown) => void

/**
 * What becomes of an error in instrumentation: counted in metrics_instrumentation_errors_total, logged the first time a source
 * has one, and gone. It never reaches the application.
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
      this.#log(`fastify-prometheus: ${source} failed; it is ${counted}not logged again`, error)
    } catch {
      // A registry or a log that fails leaves nobody to tell.
    }
  }
}

function warn (message: string, error: unknown): void {
  process.emitWarning(`${message}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`, { code: 'FP_WARN_INSTRUMENTATION' })
}
