import type { RegistryLike } from '../../src/metrics/index.js'

/**
 * A registry's page with the labels of a line and the lines of a family in one order, so that two registries can be compared.
 * Labels that prom-client prints as "undefined" are taken out; timestamps of exemplars become 0.
 */
export async function pageOf (registry: RegistryLike): Promise<string> {
  const page = await registry.metrics()
  const families = page.split(/^(?=# HELP )/m).map((family) => {
    const [help = '', type = '', ...lines] = family.split('\n')
    return [help, type, ...lines.filter((line) => line !== '').map(lineOf).sort()].join('\n')
  })
  return families.sort().join('\n')
}

/**
 * What getMetricsAsJSON() says, key for key and type for type: which keys a value has, null and undefined, 200 and '200'.
 * Left out are labels that are undefined, the order of labels, and the times of exemplars.
 */
export async function stateOf (registry: RegistryLike): Promise<string> {
  const families = await registry.getMetricsAsJSON() as Array<{ values: Value[] }>
  return JSON.stringify(families.map(({ values, ...rest }) => ({ ...rest, values: values.map(shown) })), null, 1)
}

interface Value {
  value: number
  labels: Record<string, unknown>
  exemplar?: { labelSet: Record<string, unknown>, value: number, timestamp?: number } | null
}

/** A value with what JSON has no word for: NaN, the infinities, and keys that are undefined. 0 and -0 are one, for a sum of nothing may be either. */
function shown (value: Value): object {
  return Object.fromEntries(Object.entries(value).map(([key, part]: [string, unknown]) => {
    if (key === 'value') return [key, String(value.value + 0)]
    if (key === 'labels') return [key, labelsOf(value.labels)]
    if (key === 'exemplar' && value.exemplar) return [key, { ...value.exemplar, labelSet: labelsOf(value.exemplar.labelSet), timestamp: typeof value.exemplar.timestamp }]
    return [key, part === undefined ? 'undefined' : part]
  }))
}

function labelsOf (labels: Record<string, unknown>): unknown[][] {
  return Object.entries(labels).filter(([, value]) => value !== undefined).sort(([a], [b]) => a < b ? -1 : 1)
}

function lineOf (line: string): string {
  const [, name, labels, rest] = /^([^{ ]+)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (.*)$/.exec(line) ?? []
  if (name === undefined) return line
  const sorted = (labels?.match(/\w+="(?:[^"\\]|\\.)*"/g) ?? []).filter((label) => !label.endsWith('="undefined"')).sort()
  return `${name}${sorted.length > 0 ? `{${sorted.join(',')}}` : ''} ${rest?.replace(/^(.* # \{.*\} \S+) \S+$/, '$1 0')}`
}
