import type { Exemplar } from '../metrics/index.js'
import { exemplarLabels } from './exemplar-labels.js'
import { writeLabel } from './label-messages.js'
import type { MessageWriter } from './message-writer.js'

const EXEMPLAR = { value: 0x11, timestamp: 0x1a } as const
const TIMESTAMP = { seconds: 0x08, nanos: 0x10 } as const
/** The time at which the years of google.protobuf.Timestamp end, in seconds since the epoch. */
const YEAR_10000 = 253_402_300_800

/**
 * Writes a field with the message Exemplar. Writes nothing if a page cannot have its labels. Makes its own room, and
 * some room for the fields that follow.
 * @param before the first byte of a tag that has two bytes
 */
export function writeExemplar (writer: MessageWriter, tag: number, exemplar: Exemplar, before?: number): void {
  const labels = exemplarLabels(exemplar)
  writer.reserve(64)
  if (labels === undefined) return
  if (before !== undefined) writer.byte(before)
  const start = writer.open(tag, 1)
  for (const { name, value } of labels) writeLabel(writer, name, value)
  writer.reserve(48)
  writer.double(EXEMPLAR.value, exemplar.value)
  writeTimestamp(writer, EXEMPLAR.timestamp, exemplar.timestamp)
  writer.close(start, 1)
  writer.reserve(64)
}

/**
 * Writes a field with a google.protobuf.Timestamp. Writes nothing if there is no time, or if it is before 1970 or after
 * the year 9999. The time is written in whole microseconds: a number of seconds is no more exact. Prometheus cuts off
 * everything below a millisecond, so noise below a microsecond could cost a whole millisecond.
 * @param seconds since the epoch
 */
export function writeTimestamp (writer: MessageWriter, tag: number, seconds: number | undefined): void {
  if (seconds === undefined || !(seconds >= 0 && seconds < YEAR_10000)) return
  let whole = Math.floor(seconds)
  let micros = Math.round((seconds - whole) * 1e6)
  if (micros === 1e6) {
    whole++
    micros = 0
  }
  const start = writer.open(tag, 1)
  if (whole > 0) writer.uint(TIMESTAMP.seconds, whole)
  if (micros > 0) writer.uint(TIMESTAMP.nanos, micros * 1000)
  writer.close(start, 1)
}
