import type { Dashboard, Panel, VariableModel } from '@grafana/grafana-foundation-sdk/dashboard'
import { Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import { invalidWalks, walkDistance, walksCompleted, walksStarted } from '../../examples/dog-walking/metrics.js'
import { catalogue, type Definition } from '../../src/catalogue.js'
import { rules } from './rules.js'

export type AnyPanel = Panel & { panels?: Panel[] }

export interface Query {
  readonly expr: string
  readonly legendFormat?: string
  readonly datasource?: { readonly uid?: string }
}

/** What Prometheus gives every series of a target, and in Kubernetes. */
export const TARGET = ['namespace', 'job', 'pod', 'instance']
/** What belongs to the service and to none of its processes. */
export const OF_SERVICE = /^ALERTS$|^job(_\w+)?:/

/** What a series of each metric has for labels, by the name that a query knows it by. */
export const labelsOf = new Map<string, readonly string[]>()
for (const name of ['up', 'scrape_duration_seconds']) labelsOf.set(name, [])
for (const [name, { type, labels }] of Object.entries<Definition>(catalogue)) know(name, labels, type === 'histogram')
const runtime = new Registry()
collectDefaultMetrics({ register: runtime })
for (const metric of [...runtime.getMetricsAsArray(), walksStarted, walksCompleted, invalidWalks, walkDistance]) {
  const { name, labelNames } = metric as unknown as { name: string, labelNames: string[] }
  know(name, labelNames, (metric as unknown) instanceof Histogram)
}
// An alert has the labels of its expression and of its rule, and of these the dashboards show some.
labelsOf.set('ALERTS', ['alertname', 'alertstate', 'severity', 'section', 'method', 'route', 'alias', 'host', 'backend'])
for (const { record } of rules) if (record !== undefined) labelsOf.set(record, [])

function know (name: string, labels: readonly string[], isHistogram: boolean): void {
  labelsOf.set(name, labels)
  if (isHistogram) for (const [suffix, own] of [['bucket', [...labels, 'le']], ['sum', labels], ['count', labels]] as const) labelsOf.set(`${name}_${suffix}`, own)
}

/** The histograms that there are, by their names. */
export const histograms = [...labelsOf.keys()].filter((name) => labelsOf.has(`${name}_bucket`))

/** Panels, those in closed rows too; and rows. */
export function panelsOf ({ panels = [] }: Dashboard): AnyPanel[] {
  return panels.flatMap((panel: AnyPanel) => [panel, ...panel.panels ?? []])
}

/** Panels that show something. */
export function shownBy (dashboard: Dashboard): AnyPanel[] {
  return panelsOf(dashboard).filter(({ type }) => type !== 'row')
}

export function targetsOf (panel: AnyPanel): Query[] {
  return (panel.targets ?? []) as unknown as Query[]
}

export function variablesOf ({ templating: { list = [] } }: Dashboard): VariableModel[] {
  return list
}

/** Every query, with where it stands. */
export function queriesOf (dashboard: Dashboard): Array<{ place: string, expr: string, legend: string }> {
  return [
    ...panelsOf(dashboard).flatMap((panel) => targetsOf(panel).map(({ expr, legendFormat = '' }) => ({ place: `${panel.title}`, expr, legend: legendFormat }))),
    ...(dashboard.annotations.list ?? []).flatMap(({ name, expr = '', target }) => [expr, (target as unknown as Query).expr].map((query) => ({ place: name, expr: query, legend: '' }))),
    ...variablesOf(dashboard).filter(({ type }) => type === 'query').map(({ name, definition = '' }) => ({ place: `$${name}`, expr: selectorOf(definition).selector, legend: '' }))
  ]
}

/** What label_values asks of. */
export function selectorOf (definition: string): { selector: string, label: string } {
  const [, selector = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? []
  return { selector, label }
}
