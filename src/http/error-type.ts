const CODE = /^[A-Z][A-Z0-9_]{2,63}$/
const CLASS = /^[A-Za-z_$][\w$]{0,63}$/

/** The type label of a thrown error: its code (FST_ERR_VALIDATION, ECONNREFUSED), else its class; never its message. */
export function exceptionType (error: unknown): string {
  if (typeof error !== 'object' || error === null) return typeof error
  const { code } = error as { code?: unknown }
  if (typeof code === 'string' && CODE.test(code)) return code
  const name: unknown = error.constructor?.name
  return typeof name === 'string' && CLASS.test(name) ? name : 'Error'
}
