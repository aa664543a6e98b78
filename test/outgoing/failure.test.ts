import t from 'tap'
import { anything, assert, constantFrom, oneof, property, record, string } from 'fast-check'
import { errors } from 'undici'
import { failureTypeOf, failureTypes } from '../../src/outgoing/failure.js'

const withCode = (code: unknown) => Object.assign(new Error('x'), { code })

t.test('the type of a failure is its code or class, where those are known', (t) => {
  for (const code of ['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ESERVFAIL', 'EPROTO', 'EIO', 'ABORT_ERR', 'HPE_INVALID_CONSTANT',
    'DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_HTTP2_STREAM_ERROR']) {
    t.equal(failureTypeOf(withCode(code)), code)
  }
  for (const name of ['AbortError', 'TimeoutError', 'NetworkError']) t.equal(failureTypeOf(new DOMException('x', name)), name)
  t.equal(failureTypeOf(new TypeError('x')), 'TypeError')
  t.equal(failureTypeOf(new class TimeoutError extends Error {}('x')), 'TimeoutError')
  t.equal(failureTypeOf(Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })), 'ECONNREFUSED')
  t.end()
})

t.test('every error of undici has its own', (t) => {
  for (const [name, Class] of Object.entries(errors) as Array<[string, new (...args: unknown[]) => Error & { code?: string }]>) {
    const error = new Class('x', undefined, { headers: {} })
    t.equal(failureTypeOf(error), error.code ?? name, name)
  }
  t.end()
})

t.test('a code that is not known is one of its family', (t) => {
  const families = { UND_ERR_TO_COME: 'UND_ERR', HPE_TO_COME: 'HPE', ERR_SSL_TO_COME: 'ERR_SSL', ERR_TLS_TO_COME: 'ERR_TLS', ERR_HTTP2_TO_COME: 'ERR_HTTP2', ERR_HTTP_TO_COME: 'ERR_HTTP' }
  for (const [code, family] of Object.entries(families)) t.equal(failureTypeOf(withCode(code)), family)
  t.end()
})

t.test('an error of the application is an Error, whatever its class, code and name are', (t) => {
  class CardDeclined4111 extends Error {}
  const hostile = new Proxy({}, { get () { throw new Error('hostile') } })
  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  for (const reason of [new CardDeclined4111('x'), withCode('CARD_4111'), withCode('23505'), { name: 'Card4111' }, { driverError: { code: '40001' } }, 'ECONNREFUSED', 4111, undefined, null,
    hostile, revoked.proxy, Object.create(null), () => {}, Symbol('x'), withCode({ toString: () => 'ECONNREFUSED' })]) t.equal(failureTypeOf(reason), 'Error')
  t.end()
})

t.test('whatever a request failed with, its type is one of a closed set', (t) => {
  const word = oneof(string({ maxLength: 12 }), string({ unit: constantFrom(...'ABEHRT_23') }), constantFrom('UND_ERR_', 'ERR_SSL_', 'HPE_', 'E', 'ECONNRESET', '__proto__', 'constructor'))
  const code = oneof(anything(), word, record({ a: word, b: word }).map(({ a, b }) => a + b))
  const reason = oneof(anything(), record({ code, name: code, message: string() }), record({ code, name: code, className: word }).map(({ code, name, className }) => {
    const Class = { [className]: class extends Error {} }[className] as new () => Error
    return Object.assign(new Class(), { code, name })
  }))
  const types = failureTypes()
  t.ok(types.size < 400, `${types.size} types`)
  assert(property(reason, (reason) => types.has(failureTypeOf(reason))), { numRuns: 2000 })
  t.end()
})
