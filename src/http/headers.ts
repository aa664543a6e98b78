import type { IncomingHttpHeaders } from 'node:http'
import { OTHER } from './bounded-values.js'

/** Charsets that have a label value of their own (the IANA names of the charsets that the web uses). */
const CHARSETS = new Set(['utf-8', 'us-ascii', 'iso-8859-1', 'iso-8859-2', 'iso-8859-15', 'windows-1250', 'windows-1251', 'windows-1252', 'utf-16', 'shift_jis',
  'euc-jp', 'iso-2022-jp', 'euc-kr', 'gb2312', 'gbk', 'gb18030', 'big5', 'koi8-r', 'koi8-u'])
/** The longest wait that is believed, a day: a header that says more is wrong. */
const LONGEST_QUEUE_SECONDS = 86_400
/**
 * How far below zero a wait may be. A proxy on the same machine gives whole milliseconds, and so does our clock, so a
 * very short wait may come out negative.
 */
const CLOCK_SECONDS = 0.002

/** The charset of a content type: one of a closed set, `_OTHER`, or 'none'. */
export function charsetOf (contentType: unknown): string {
  if (typeof contentType !== 'string') return 'none'
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType)?.[1]?.toLowerCase()
  return charset === undefined ? 'none' : CHARSETS.has(charset) ? charset : OTHER
}

/**
 * Seconds since the proxy in front took the request: X-Request-Start or X-Queue-Start, in seconds, milli- or
 * microseconds since the epoch, with or without nginx' `t=`. Undefined without such a header, or when it cannot be
 * right.
 * @param now milliseconds since the epoch
 */
export function queuedSeconds (headers: IncomingHttpHeaders, now: number): number | undefined {
  const said = headers['x-request-start'] ?? headers['x-queue-start']
  if (typeof said !== 'string') return undefined
  const match = /^(?:t=)?(\d{9,17}(?:\.\d{1,9})?)$/.exec(said)
  if (match === null) return undefined
  const start = Number(match[1])
  const startSeconds = start > 1e14 ? start / 1e6 : start > 1e11 ? start / 1e3 : start
  const queued = now / 1000 - startSeconds
  return queued >= -CLOCK_SECONDS && queued <= LONGEST_QUEUE_SECONDS ? Math.max(queued, 0) : undefined
}
