import type { FamilySnapshot } from '../metrics/index.js'
import { writeLines } from './lines.js'
import { TextWriter } from './text-writer.js'

/** The content type of Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/). */
export const TEXT = 'text/plain; version=0.0.4; charset=utf-8'

const DIALECT = { exemplars: false, negativeSums: true, fractions: true, created: undefined }

/** Encodes families in Prometheus' text format 0.0.4. */
export function * encodeText (families: Iterable<FamilySnapshot>): Generator<Buffer> {
  const writer = new TextWriter()
  for (const family of families) {
    const { name, help, type } = family
    writer.text(`# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type === 'unknown' ? 'untyped' : type}\n`)
    yield * writeLines(writer, family, DIALECT)
  }
  yield writer.take()
}

function escaped (help: string): string {
  return help.replace(/[\\\n]/g, (character) => character === '\n' ? '\\n' : '\\\\')
}
