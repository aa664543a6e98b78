import { errorMonitor } from 'node:events'
import { shadowMethod } from '../../src/adapter.js'
import type { QueryRecorder, Running } from './recorder.js'

interface StreamLike {
  on (event: string | symbol, listener: (...args: unknown[]) => void): unknown
  removeListener (event: string | symbol, listener: (...args: unknown[]) => void): unknown
}

/**
 * Records the end of a stream of rows (read, given up or failed) and how many rows the driver put into it. There is no
 * listener for 'error': it would keep an error from crashing a process that crashes without us.
 */
export function watchStream (recorder: QueryRecorder, running: Running, stream: unknown): void {
  if (!isStream(stream)) return recorder.streamed(running, 0)
  let rows = 0
  const restore = shadowMethod(stream, 'push', (push) => function (...args) {
    if (args[0] !== null && args[0] !== undefined) rows++
    return Reflect.apply(push, this, args)
  })
  const recordEnd = (failure?: unknown): void => {
    restore()
    for (const [event, listener] of listeners) stream.removeListener(event, listener)
    recorder.streamed(running, rows, failure)
  }
  const recordWhole = (): void => { recordEnd() }
  const listeners: Array<readonly [event: string | symbol, listener: (...args: unknown[]) => void]> =
    [[errorMonitor, (error) => { recordEnd(isDriverError(error) ? error : undefined) }], ['end', recordWhole], ['close', recordWhole]]
  try {
    for (const [event, listener] of listeners) stream.on(event, listener)
  } catch (error) {
    recorder.report(error)
    recordEnd()
  }
}

/**
 * Whether an error comes from the driver, and not from a reader that gave up: a reader may destroy a stream with any
 * error.
 */
function isDriverError (error: unknown): boolean {
  const { code, errno, errorNum } = (typeof error === 'object' && error !== null ? error : {}) as { code?: unknown, errno?: unknown, errorNum?: unknown }
  if (typeof code === 'string') return code !== 'ABORT_ERR' && !code.startsWith('ERR_')
  return [code, errno, errorNum].some((number) => typeof number === 'number')
}

function isStream (value: unknown): value is StreamLike {
  return typeof value === 'object' && value !== null && typeof (value as Partial<StreamLike>).on === 'function' &&
    typeof (value as Partial<StreamLike>).removeListener === 'function'
}
