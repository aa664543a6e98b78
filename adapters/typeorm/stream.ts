import { errorMonitor } from 'node:events'
import { shadowMethod } from '../../src/instrumentation/index.js'
import type { Query, QueryRecorder } from './recorder.js'

interface StreamLike {
  on (event: string | symbol, listener: (...args: unknown[]) => void): unknown
  removeListener (event: string | symbol, listener: (...args: unknown[]) => void): unknown
}

/**
 * Records how a stream of rows ends, read or given up or failed, and how many rows the driver put into it. Its errors are heard
 * without a listener for 'error', which would keep one from crashing a process that it crashes without us.
 */
export function watchStream (recorder: QueryRecorder, query: Query, stream: unknown): void {
  if (!isStream(stream)) return recorder.streamed(query, 0)
  let rows = 0
  const restore = shadowMethod(stream, 'push', (push) => function (...args) {
    if (args[0] !== null && args[0] !== undefined) rows++
    return Reflect.apply(push, this, args)
  })
  const ended = (failure?: unknown): void => {
    restore()
    for (const [event, listener] of listeners) stream.removeListener(event, listener)
    recorder.streamed(query, rows, failure)
  }
  query.interrupt = ended
  const whole = (): void => { ended() }
  const listeners: Array<readonly [event: string | symbol, listener: (...args: unknown[]) => void]> =
    [[errorMonitor, (error) => { ended(isDrivers(error) ? error : undefined) }], ['end', whole], ['close', whole]]
  try {
    for (const [event, listener] of listeners) stream.on(event, listener)
  } catch (error) {
    recorder.report(error)
    ended()
  }
}

/** Whether the database failed, and not that a reader gave up: whoever destroys a stream may give it any error. */
function isDrivers (error: unknown): boolean {
  const { code, errno, errorNum } = (typeof error === 'object' && error !== null ? error : {}) as { code?: unknown, errno?: unknown, errorNum?: unknown }
  if (typeof code === 'string') return code !== 'ABORT_ERR' && !code.startsWith('ERR_')
  return [code, errno, errorNum].some((number) => typeof number === 'number')
}

function isStream (value: unknown): value is StreamLike {
  return typeof value === 'object' && value !== null && typeof (value as Partial<StreamLike>).on === 'function' &&
    typeof (value as Partial<StreamLike>).removeListener === 'function'
}
