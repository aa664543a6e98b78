import { LabelPair, type BucketsSnapshot, type Exemplar, type FamilySnapshot, type SeriesSnapshot } from '../metrics/index.js'
import { fitOpenMetrics, exemplarLabels } from './exemplar-labels.js'
import { boundText, valueText } from './numbers.js'
import type { TextWriter } from './text-writer.js'

const LINE_FEED = 10
/** The largest number that digits() takes is below. */
const TWO_TO_31 = 2 ** 31
/** Labels of this many characters are long: the lines of one histogram with them may be more than a chunk. */
const LONG = 4096

/** What the two text formats do not share. */
export interface Dialect {
  /** Whether lines of counters and buckets end with their exemplar. */
  readonly exemplars: boolean
  /** Whether histograms that may count negative values have a sum and, which OpenMetrics has only beside it, a count. */
  readonly negativeSums: boolean
  /** Whether counts that are not whole, those of an average, are written as they are, and not as the nearest whole one. */
  readonly fractions: boolean
  /** The name of the line that says when a series began; undefined where there is none. */
  readonly created: string | undefined
}

/** Writes the lines of one family, in the form that both text formats share; gives chunks as they get full. */
export function * lines (writer: TextWriter, family: FamilySnapshot, dialect: Dialect): Generator<Buffer> {
  const { name, type } = family
  const bounds = type === 'histogram' ? [...family.bounds, Infinity].map((bound) => Buffer.from(`le="${boundText(bound)}"} `)) : []
  const hasTotal = dialect.negativeSums || !((family.bounds[0] ?? 0) < 0)
  for (const series of family.series()) {
    const labels = labelsText(series.labels)
    if (series.buckets !== undefined) {
      const step = labels.length > LONG ? 1 : bounds.length
      let count = 0
      for (let from = 0; from < bounds.length; from += step) {
        count = buckets(writer, name, labels, bounds, series.buckets, from, from + step, count, dialect)
        if (writer.full) yield writer.take()
      }
      if (hasTotal) total(writer, name, labels, series.value, countIn(dialect, count))
    } else if (series.quantiles !== undefined) {
      for (const { quantile, value } of series.quantiles.quantiles) {
        line(writer, name, `${labels}${labels === '' ? '' : ','}quantile="${boundText(quantile)}"`, value)
      }
      total(writer, name, labels, series.value, countIn(dialect, series.quantiles.count))
    } else {
      sample(writer, name, labels, series.value)
      if (dialect.exemplars && series.exemplar !== undefined) exemplar(writer, series.exemplar)
      writer.byte(LINE_FEED)
    }
    if (dialect.created !== undefined && series.created !== undefined) line(writer, dialect.created, labels, series.created)
    if (writer.full) yield writer.take()
  }
}

/** The lines of some of a series' buckets. @returns what they and those before count, given those before */
function buckets (
  writer: TextWriter, name: string, labels: string, bounds: readonly Uint8Array[], { counts, at, exemplars }: BucketsSnapshot,
  from: number, to: number, before: number, dialect: Dialect
): number {
  let count = before
  const start = writer.at
  writer.text(`${name}_bucket{${labels}${labels === '' ? '' : ','}`)
  const end = writer.at
  for (let i = from; i < to; i++) {
    // A line begins as the one before it did: copying that is cheaper than writing it.
    if (i > from) writer.repeat(start, end)
    writer.bytes(bounds[i] as Uint8Array)
    count += counts[at + i] as number
    number(writer, countIn(dialect, count))
    if (dialect.exemplars) {
      const found = exemplars?.[i]
      if (found !== undefined && found !== null) exemplar(writer, found)
    }
    writer.byte(LINE_FEED)
  }
  return count
}

/** In one piece, for each piece that is written takes longer than it is long. */
function total (writer: TextWriter, name: string, labels: string, sum: number, count: number): void {
  const braced = labels === '' ? '' : `{${labels}}`
  writer.text(`${name}_sum${braced} ${valueText(sum)}\n${name}_count${braced} ${valueText(count)}\n`)
}

function line (writer: TextWriter, name: string, labels: string, value: number): void {
  writer.text(`${name}${labels === '' ? '' : `{${labels}}`} ${valueText(value)}\n`)
}

function sample (writer: TextWriter, name: string, labels: string, value: number): void {
  writer.text(labels === '' ? `${name} ` : `${name}{${labels}} `)
  number(writer, value)
}

function number (writer: TextWriter, value: number): void {
  if (Number.isInteger(value) && value >= 0 && value < TWO_TO_31) writer.digits(value)
  else writer.ascii(valueText(value))
}

function countIn ({ fractions }: Dialect, count: number): number {
  return fractions ? count : Math.round(count)
}

function exemplar (writer: TextWriter, exemplar: Exemplar): void {
  const labels = exemplarLabels(exemplar)
  if (labels !== undefined && fitOpenMetrics(labels)) writer.text(` # {${labelsText(labels)}} ${valueText(exemplar.value)} ${exemplar.timestamp}`)
}

function labelsText (labels: SeriesSnapshot['labels']): string {
  if (labels.length === 0) return ''
  let text = (labels[0] as LabelPair).text
  for (let i = 1; i < labels.length; i++) text += `,${(labels[i] as LabelPair).text}`
  return text
}
