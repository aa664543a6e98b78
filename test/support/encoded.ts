import { encodeOpenMetrics } from '../../src/exposition/openmetrics.js'
import { encodeProtobuf } from '../../src/exposition/protobuf.js'
import { encodeText } from '../../src/exposition/text.js'
import type { Format } from '../../src/exposition/index.js'
import type { FamilySnapshot } from '../../src/metrics/index.js'

/** The chunks that a format's encoder makes of families. @param created whether OpenMetrics says when a series began */
export function chunksOf (families: readonly FamilySnapshot[], format: Format, created = true): Buffer[] {
  if (format === 'protobuf') return [...encodeProtobuf(families)]
  return [...format === 'text' ? encodeText(families) : encodeOpenMetrics(families, created)]
}

/** The page that those chunks are. */
export function encoded (families: readonly FamilySnapshot[], format: Format, created = true): Buffer {
  return Buffer.concat(chunksOf(families, format, created))
}

/** Text as UTF-8 has it: in place of lone surrogates are U+FFFD. */
export function wellFormed (text: string): string {
  return Buffer.from(text).toString()
}
