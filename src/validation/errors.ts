/** Every error code this package throws. */
export type ErrorCode =
  | 'FP_ERR_INVALID_OPTION'
  | 'FP_ERR_INVALID_TARGET'
  | 'FP_ERR_METRIC_CONFLICT'
  | 'FP_ERR_PORT_TAKEN'
  | 'FP_ERR_PROCESSES'
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
 * @param expected what the option must be, read after "must be"
 * @param got the value that was given
 */
export function invalidOption (owner: string, option: string, expected: string, got: unknown): MetricsError {
  return new MetricsError('FP_ERR_INVALID_OPTION', `${owner} option '${option}' must be ${expected}, got ${show(got)}`)
}

/** The most elements of an array that a message lists. Of a longer array it gives only the length. */
const LISTED = 20
const CLASS_NAME = /^[A-Za-z_$][\w$]{0,63}$/
const OPTION_NAME = /^[A-Za-z_$][\w$.-]{0,63}$/

/**
 * A value as an error message shows it. Numbers, true, false, null and undefined are shown as they are, and so are
 * arrays of them. Of anything else only the kind and the size are shown, because a string, a key or a field may be a
 * password. Never throws.
 */
export function show (value: unknown): string {
  try {
    return isPlain(value) ? String(value) : kindOf(value)
  } catch {
    // A proxy or a getter of the caller threw.
    return 'an object that cannot be read'
  }
}

/** The name of a caller's option, if it looks like a name; else its length. */
export function showName (name: string): string {
  return OPTION_NAME.test(name) ? name : `<a name of ${counted(name.length, 'character')}>`
}

function kindOf (value: unknown): string {
  if (typeof value === 'string') return value === '' ? "''" : `a string of ${counted(value.length, 'character')}`
  if (typeof value === 'symbol') return 'a symbol'
  if (typeof value === 'function') return /^class\b/.test(Function.prototype.toString.call(value)) ? 'a class' : 'a function'
  if (Array.isArray(value)) return listOf(value)
  const object = value as object
  // A Fastify application has a `then` too, so `then` alone does not make a promise.
  if (object instanceof Promise || isCatchable(object)) return "a promise: is an 'await' missing?"
  const prototype: unknown = Object.getPrototypeOf(object)
  if (prototype === null || prototype === Object.prototype) {
    const { length } = Object.keys(object)
    return length === 0 ? '{}' : `an object with ${counted(length, 'key')}`
  }
  const { constructor } = prototype as { constructor?: unknown }
  const name = typeof constructor === 'function' ? constructor.name : ''
  return CLASS_NAME.test(name) && name !== 'Object' ? `an instance of ${name}` : 'an object'
}

function isCatchable ({ then, catch: caught }: { then?: unknown, catch?: unknown }): boolean {
  return typeof then === 'function' && typeof caught === 'function'
}

function listOf (values: readonly unknown[]): string {
  if (values.length === 0) return '[]'
  return values.length <= LISTED && values.every(isPlain) ? `[ ${values.map(String).join(', ')} ]` : `an array of ${counted(values.length, 'element')}`
}

function isPlain (value: unknown): boolean {
  return value === null || ['undefined', 'boolean', 'number', 'bigint'].includes(typeof value)
}

function counted (count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
