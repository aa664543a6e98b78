import { LabelPair, MOST_EXEMPLAR_CHARACTERS, isLabelName, type Exemplar } from '../metrics/index.js'

/**
 * The labels of an exemplar; undefined if a page cannot have them because a name is no label name or a value has no
 * text. They are an object of the user, who may have changed it meanwhile. In the worst case only the exemplar is lost.
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

/**
 * Whether labels have no more text than OpenMetrics 1.0 allows and Prometheus keeps (its model/exemplar/exemplar.go,
 * ExemplarMaxLabelSetLength).
 */
export function isShort (labels: readonly LabelPair[]): boolean {
  const text = textOf(labels)
  // JavaScript counts a character beyond the first plane of Unicode as two.
  return text.length <= MOST_EXEMPLAR_CHARACTERS || (text.length <= 2 * MOST_EXEMPLAR_CHARACTERS && [...text].length <= MOST_EXEMPLAR_CHARACTERS)
}

/**
 * Whether parsers of OpenMetrics 1.0 accept these labels: they must be short and have no `}`. The parser of Prometheus'
 * Python library takes any `}` for the end of an exemplar's labels (prometheus_client/openmetrics/parser.py,
 * _parse_remaining_text).
 */
export function fitOpenMetrics (labels: readonly LabelPair[]): boolean {
  return !textOf(labels).includes('}') && isShort(labels)
}

function textOf (labels: readonly LabelPair[]): string {
  return labels.map(({ name, value }) => name + value).join('')
}
