import type { BucketsSnapshot, FamilySnapshot } from '../metrics/index.js'
import { fitOpenMetrics } from './exemplar-labels.js'
import { boundText, valueText } from './numbers.js'
import { bracedText, labelsText, writeExemplar, writeNumber } from './samples.js'
import type { TextWriter } from './text-writer.js'

const LINE_FEED = 10
/** Labels with more characters than this are long: the lines of one histogram with them may be more than a chunk. */
const LONG = 4096

/** The differences between the text format and OpenMetrics 1.0. */
export interface Dialect {
  /** Whether lines of counters and buckets end with their exemplar. */
  readonly exemplars: boolean
  /**
   * Whether histograms that may count negative values have a sum and a count. OpenMetrics has the count only beside the
   * sum.
   */
  readonly negativeSums: boolean
  /**
   * Whether counts that are not whole, as in an average, are written as they are, and not as the nearest whole number.
   */
  readonly fractions: boolean
  /** The name of the line with the start time of a series; undefined if there is no such line. */
  readonly created: string | undefined
}

/**
 * Writes the lines of one family, and gives each chunk when it is full. A histogram or a summary has a line for each of
 * its numbers.
 */
export function * writeLines (writer: TextWriter, family: FamilySnapshot, dialect: Dialect): Generator<Buffer> {
  const { name, type } = family
  const bounds = type === 'histogram' ? [...family.bounds, Infinity].map((bound) => Buffer.from(`le="${boundText(bound)}"} `)) : []
  const hasTotal = dialect.negativeSums || !((family.bounds[0] ?? 0) < 0)
  for (const series of family.series()) {
    const labels = labelsText(series.labels)
    if (series.buckets !== undefined) {
      const step = labels.length > LONG ? 1 : bounds.length
      let count = 0
      for (let from = 0; from < bounds.length; from += step) {
        count = writeBuckets(writer, name, labels, bounds, series.buckets, from, from + step, count, dialect)
        if (writer.full) yield writer.take()
      }
      if (hasTotal) writeTotal(writer, name, labels, series.value, countIn(dialect, count))
    } else if (series.quantiles !== undefined) {
      for (const { quantile, value } of series.quantiles.quantiles) {
        writeLine(writer, name, `${labels}${labels === '' ? '' : ','}quantile="${boundText(quantile)}"`, value)
      }
      writeTotal(writer, name, labels, series.value, countIn(dialect, series.quantiles.count))
    } else {
      writer.text(`${name}${bracedText(labels)} `)
      writeNumber(writer, series.value)
      if (dialect.exemplars && series.exemplar !== undefined) writeExemplar(writer, series.exemplar, fitOpenMetrics, String(series.exemplar.timestamp))
      writer.byte(LINE_FEED)
    }
    if (dialect.created !== undefined && series.created !== undefined) writeLine(writer, dialect.created, labels, series.created)
    if (writer.full) yield writer.take()
  }
}

/** Writes the lines of some buckets of a series. @returns the count of these buckets and all buckets before them */
function writeBuckets (
  writer: TextWriter, name: string, labels: string, bounds: readonly Uint8Array[], { counts, at, exemplars }: BucketsSnapshot,
  from: number, to: number, before: number, dialect: Dialect
): number {
  let count = before
  const start = writer.at
  writer.text(`${name}_bucket{${labels}${labels === '' ? '' : ','}`)
  const end = writer.at
  for (let i = from; i < to; i++) {
    // A line begins with the same bytes as the line before it. Copying them is cheaper than writing them again.
    if (i > from) writer.repeat(start, end)
    writer.bytes(bounds[i] as Uint8Array)
    count += counts[at + i] as number
    writeNumber(writer, countIn(dialect, count))
    if (dialect.exemplars) {
      const exemplar = exemplars?.[i]
      if (exemplar !== undefined && exemplar !== null) writeExemplar(writer, exemplar, fitOpenMetrics, String(exemplar.timestamp))
    }
    writer.byte(LINE_FEED)
  }
  return count
}

/** Writes sum and count in one call, because each call costs more time than the length of its text suggests. */
function writeTotal (writer: TextWriter, name: string, labels: string, sum: number, count: number): void {
  const braced = bracedText(labels)
  writer.text(`${name}_sum${braced} ${valueText(sum)}\n${name}_count${braced} ${valueText(count)}\n`)
}

function writeLine (writer: TextWriter, name: string, labels: string, value: number): void {
  writer.text(`${name}${bracedText(labels)} ${valueText(value)}\n`)
}

function countIn ({ fractions }: Dialect, count: number): number {
  return fractions ? count : Math.round(count)
}
