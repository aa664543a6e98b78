import { driverErrorType } from './driver-codes.js'
import { conditions } from './sqlstate.js'

const SQLSTATE = /^[0-9A-Z]{5}$/
const CODE = /^[A-Z][A-Z0-9_]{1,63}$/
const CLASS_NAME = /^[A-Za-z_$][\w$]{0,63}$/

/**
 * The type of an error, as a label value. First, PostgreSQL's name of its condition ('unique_violation'), also for an
 * error of another database that means the same; `class_` and the SQLSTATE's class when the condition has no name. Else
 * its code ('ECONNREFUSED'), else its class ('TypeError'), else 'Error'. For TypeORM's wrapper, the type of the
 * driver's error. Never its message. Never throws, whatever was thrown.
 */
export function errorTypeOf (error: unknown): string {
  try {
    if (typeof error !== 'object' || error === null) return 'Error'
    const thrown = driverErrorOf(error)
    return (thrown !== error && isObject(thrown) ? codeTypeOf(thrown, true) : undefined) ?? codeTypeOf(error, false) ?? classOf(error)
  } catch {
    return 'Error'
  }
}

/**
 * The same for an error that is known to come from a database driver, or from TypeORM around one. A number alone, or a
 * message of SQLite alone, is enough then.
 */
export function driverErrorTypeOf (error: unknown): string {
  try {
    const thrown = driverErrorOf(error)
    return isObject(thrown) ? codeTypeOf(thrown, true) ?? classOf(thrown) : 'Error'
  } catch {
    return 'Error'
  }
}

/**
 * The driver's own error in TypeORM's QueryFailedError; any other error itself. May throw when the error cannot be
 * read.
 */
function driverErrorOf (error: unknown): unknown {
  const driverError = isObject(error) ? (error as { driverError?: unknown }).driverError : undefined
  return isObject(driverError) ? driverError : error
}

function codeTypeOf (error: object, certain: boolean): string | undefined {
  const { code } = error as { code?: unknown }
  if (typeof code === 'string') {
    const condition = conditions.get(code)
    if (condition !== undefined) return condition
    // Five characters may also be a code of Node, such as EPIPE. Such a code has no digit; nearly every SQLSTATE has
    // one.
    if (SQLSTATE.test(code) && /\d/.test(code)) return `class_${code.slice(0, 2)}`
  }
  return driverErrorType(error, certain) ?? (typeof code === 'string' && CODE.test(code) ? code : undefined)
}

function classOf ({ constructor }: { readonly constructor: unknown }): string {
  const name = typeof constructor === 'function' ? constructor.name : undefined
  return typeof name === 'string' && CLASS_NAME.test(name) ? name : 'Error'
}

function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
