import type { Duplex } from 'node:stream'
import { shadowMethod } from '../instrumentation/index.js'

const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})/
export const SWITCHING_PROTOCOLS = 101

/**
 * Reads the status that is written to a connection, by write() or end(): for upgrades, and for answers that have no
 * response object. Informational statuses are skipped, except 101.
 * @param told called once, with the status, just before it is written; it must not throw
 * @returns a function that stops the reading
 */
export function readStatus (connection: Duplex, told: (status: number) => void): () => void {
  let stopped = false
  const look = (chunk: unknown) => {
    if (stopped) return
    const text = typeof chunk === 'string' ? chunk : chunk instanceof Uint8Array ? Buffer.from(chunk.buffer, chunk.byteOffset, Math.min(chunk.length, 16)).toString('latin1') : ''
    const status = Number(STATUS_LINE.exec(text)?.[1] ?? 0)
    if (status < 200 && status !== SWITCHING_PROTOCOLS) return
    stop()
    told(status)
  }
  const undo = ['write', 'end'].map((name) => shadowMethod(connection, name, (original) => function (this: unknown, ...args: unknown[]) {
    look(args[0])
    return original.apply(this, args)
  }))
  const stop = () => {
    stopped = true
    for (const each of undo) each()
  }
  return stop
}
