import { inspect } from 'node:util'

/** Every error code this package throws. */
export type ErrorCode =
  | 'FP_ERR_INVALID_OPTION'
  | 'FP_ERR_INVALID_TARGET'
  | 'FP_ERR_METRIC_CONFLICT'
  | 'FP_ERR_PORT_TAKEN'
  | 'FP_ERR_UNKNOWN_MODEL'

/** An error of this package: `code` is stable, the message says what was wrong, what was expected and what to do. */
export class MetricsError extends Error {
  readonly code: ErrorCode

  constructor (code: ErrorCode, message: string) {
    super(`${code}: ${message}`)
    this.name = 'MetricsError'
    this.code = code
  }
}

/**
 * The error for an option that cannot be used.
 * @param owner the public function whose option it is, `metricsPlugin`
 * @param option the option's path, `endpoint.path`
 * @param expected what it must be, read after "must be"
 * @param got the value that came
 */
export function invalidOption (owner: string, option: string, expected: string, got: unknown): MetricsError {
  return new MetricsError('FP_ERR_INVALID_OPTION', `${owner} option '${option}' must be ${expected}, got ${show(got)}`)
}

/** A value as an error message shows it: one line, at most 120 characters. */
export function show (value: unknown): string {
  const text = inspect(value, { depth: 1, breakLength: Infinity })
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}
