import type { FamilySnapshot } from '../metrics/index.js'
import type { TextWriter } from './text-writer.js'

/**
 * Units that a metric's name may end with: the base units of OpenMetrics, and further units that Prometheus advises.
 */
const UNITS = ['seconds', 'bytes', 'ratio', 'meters', 'grams', 'joules', 'celsius', 'volts', 'amperes']

/** The unit that a name ends with, before the `_total` of a counter; undefined if it ends with no unit. */
export function unitOf ({ name, type }: Pick<FamilySnapshot, 'name' | 'type'>): string | undefined {
  const base = type === 'counter' && name.endsWith('_total') ? name.slice(0, -'_total'.length) : name
  return UNITS.find((unit) => base.endsWith(`_${unit}`))
}

/** Writes the metadata that OpenMetrics has before the samples of a family, in the order that both versions advise. */
export function writeMetadata (writer: TextWriter, name: string, type: string, unit: string | undefined, help: string): void {
  writer.text(`# TYPE ${name} ${type}\n`)
  if (unit !== undefined) writer.text(`# UNIT ${name} ${unit}\n`)
  writer.text(`# HELP ${name} ${escaped(help)}\n`)
}

function escaped (help: string): string {
  return help.replace(/[\\"\n]/g, (character) => character === '\n' ? '\\n' : `\\${character}`)
}
