import { LabelPair, MOST_EXEMPLAR_CHARACTERS, isLabelName, type Exemplar } from '../metrics/index.js'

/**
 * The labels of an exemplar; undefined where a page cannot have them: no label names, or no text. These are objects of users, which may be anything by now:
 * whatever they are, they cost the exemplar alone.
 */
export function exemplarLabels ({ labelSet }: Exemplar): LabelPair[] | undefined {
  try {
    const labels: LabelPair[] = []
    for (const [name, value] of Object.entries(labelSet)) {
      if (value === undefined) continue
      if (!isLabelName(name)) return undefined
      labels.push(new LabelPair(name, String(value)))
    }
    return labels
  } catch {
    return undefined
  }
}

/** Whether labels are no more text than OpenMetrics 1.0 allows and Prometheus keeps (its model/exemplar/exemplar.go, ExemplarMaxLabelSetLength). */
export function isShort (labels: readonly LabelPair[]): boolean {
  const text = textOf(labels)
  // A character beyond the first plane is two of JavaScript's.
  return text.length <= MOST_EXEMPLAR_CHARACTERS || (text.length <= 2 * MOST_EXEMPLAR_CHARACTERS && [...text].length <= MOST_EXEMPLAR_CHARACTERS)
}

/**
 * Whether parsers of OpenMetrics 1.0 take these labels: short ones without `}`, which the parser of Prometheus' Python library takes for the end of an
 * exemplar's labels wherever it stands (prometheus_client/openmetrics/parser.py, _parse_remaining_text).
 */
export function fitOpenMetrics (labels: readonly LabelPair[]): boolean {
  return !textOf(labels).includes('}') && isShort(labels)
}

function textOf (labels: readonly LabelPair[]): string {
  return labels.map(({ name, value }) => name + value).join('')
}
