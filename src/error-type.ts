import { conditions } from './sqlstate.js'

const SQLSTATE = /^[0-9A-Z]{5}$/
const CODE = /^[A-Z][A-Z0-9_]{1,63}$/
const CLASS_NAME = /^[A-Za-z_$][\w$]{0,63}$/

/**
 * What kind of error it is, as a label value: its SQLSTATE's condition name ('unique_violation'), `class_` and the SQLSTATE's
 * class where the condition has no name, else its code ('ECONNREFUSED'), else its class ('TypeError'), else 'Error'.
 * Never its message. Never throws, whatever was thrown.
 */
export function errorTypeOf (error: unknown): string {
  try {
    if (typeof error !== 'object' || error === null) return 'Error'
    const { code, constructor } = error as { code?: unknown, constructor?: unknown }
    if (typeof code === 'string') {
      const condition = conditions.get(code)
      if (condition !== undefined) return condition
      // Five characters may also be a code of Node's, EPIPE; those have no digit, nearly every SQLSTATE has.
      if (SQLSTATE.test(code) && /\d/.test(code)) return `class_${code.slice(0, 2)}`
      if (CODE.test(code)) return code
    }
    const name = typeof constructor === 'function' ? constructor.name : undefined
    return typeof name === 'string' && CLASS_NAME.test(name) ? name : 'Error'
  } catch {
    return 'Error'
  }
}
