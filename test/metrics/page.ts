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

/** What getMetricsAsJSON() says, in one order, label values as strings, without what is undefined or null. */
export async function stateOf (registry: RegistryLike): Promise<string> {
  const families = await registry.getMetricsAsJSON() as Array<{ name: string, help: string, type: string, aggregator: string, values: Value[] }>
  const state = families.map(({ name, help, type, aggregator, values }) => ({
    name,
    help,
    type,
    aggregator,
    values: values.map(({ value, labels, metricName, exemplar }) => JSON.stringify({
      metricName,
      labels: labelsOf(labels),
      // JSON has neither NaN nor the infinities; a sum of nothing may be 0 or -0.
      value: String(value + 0),
      exemplar: exemplar ? { labels: labelsOf(exemplar.labelSet), value: exemplar.value } : undefined
    })).sort()
  })).sort((a, b) => a.name < b.name ? -1 : 1)
  return JSON.stringify(state, null, 1)
}

interface Value {
  value: number
  labels: Record<string, unknown>
  metricName?: string
  exemplar?: { labelSet: Record<string, unknown>, value: number } | null
}

function labelsOf (labels: Record<string, unknown>): string[][] {
  return Object.entries(labels).filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]).sort()
}

function lineOf (line: string): string {
  const [, name, labels, rest] = /^([^{ ]+)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (.*)$/.exec(line) ?? []
  if (name === undefined) return line
  const sorted = (labels?.match(/\w+="(?:[^"\\]|\\.)*"/g) ?? []).filter((label) => !label.endsWith('="undefined"')).sort()
  return `${name}${sorted.length > 0 ? `{${sorted.join(',')}}` : ''} ${rest?.replace(/^(.* # \{.*\} \S+) \S+$/, '$1 0')}`
}
