import { LabelPair, type Exemplar, type SeriesSnapshot } from '../metrics/index.js'
import { exemplarLabels } from './exemplar-labels.js'
import { valueText } from './numbers.js'
import type { TextWriter } from './text-writer.js'

/** digits() takes only numbers below this. */
const TWO_TO_31 = 2 ** 31

/** Labels as all text formats write them, `method="GET",route="/"`. */
export function labelsText (labels: SeriesSnapshot['labels']): string {
  if (labels.length === 0) return ''
  let text = (labels[0] as LabelPair).text
  for (let i = 1; i < labels.length; i++) text += `,${(labels[i] as LabelPair).text}`
  return text
}

/** The labels of a series in braces; '' if it has none. */
export function bracedText (labels: string): string {
  return labels === '' ? '' : `{${labels}}`
}

export function writeNumber (writer: TextWriter, value: number): void {
  if (Number.isInteger(value) && value >= 0 && value < TWO_TO_31) writer.digits(value)
  else writer.ascii(valueText(value))
}

/**
 * Writes an exemplar after its sample, with its time. Writes nothing if its labels do not fit.
 * @param fit tells whether the format can have the labels
 * @param time the time of the exemplar, as the format writes it
 */
export function writeExemplar (writer: TextWriter, exemplar: Exemplar, fit: (labels: readonly LabelPair[]) => boolean, time: string): void {
  const labels = exemplarLabels(exemplar)
  if (labels !== undefined && fit(labels)) writer.text(` # {${labelsText(labels)}} ${valueText(exemplar.value)} ${time}`)
}
