import { LabelPair, MOST_EXEMPLAR_CHARACTERS, isLabelName, type Exemplar } from '../metrics/index.js'

/**
 * The labels of an exemplar; undefined where a page cannot have them: no label names, or no text. Users' objects are read here, which may be anything by now:
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

/**
 * Whether OpenMetrics' parsers take these labels: no more text than it allows, and no `}`, which the one of Prometheus' Python library takes for the end of an
 * exemplar's labels wherever it stands (prometheus_client/openmetrics/parser.py, _parse_remaining_text).
 */
export function fitOpenMetrics (labels: readonly LabelPair[]): boolean {
  const text = labels.map(({ name, value }) => name + value).join('')
  if (text.includes('}')) return false
  // A character beyond the first plane is two of JavaScript's.
  return text.length <= MOST_EXEMPLAR_CHARACTERS || (text.length <= 2 * MOST_EXEMPLAR_CHARACTERS && [...text].length <= MOST_EXEMPLAR_CHARACTERS)
}
