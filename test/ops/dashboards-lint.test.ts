import type { Dashboard, VariableModel } from '@grafana/grafana-foundation-sdk/dashboard'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { dashboards } from '../../examples/grafana/dashboards.js'
import { selectorOf, shownBy, targetsOf, variablesOf, type AnyPanel, type Query } from '../support/dashboards.js'
import { interpolated, isParsed, selectorsIn } from '../support/promql.js'

/*
 * The rules of https://github.com/grafana/dashboard-linter, by their names, and the exceptions of examples/grafana/dashboards/.lint, which
 * the linter reads too.
 */

/** What a rule objects to. A panel or a target is where it is one's. */
interface Objection {
  readonly panel?: string
  readonly targetIdx?: string
  readonly why: string
}

type Rule = (dashboard: Dashboard) => Objection[]

/** An exception: of a rule as a whole, or of what each entry names. */
interface Exclusion {
  readonly reason?: string
  readonly entries?: ReadonlyArray<{ readonly dashboard?: string, readonly panel?: string, readonly targetIdx?: string }>
}

/** Units of the linter's list that the dashboards have. */
const UNITS = ['locale', 'percentunit', 's', 'bytes', 'reqps', 'ops', 'cps']
const CHECKED = ['stat', 'gauge', 'table', 'timeseries']
const RATE_INTERVAL = /\b(?:rate|irate)\(\w+\{[^}]*\}\[(?!\$__rate_interval\])/

const rules: Readonly<Record<string, Rule>> = {
  'template-datasource-rule': (dashboard) => {
    const [source, ...others] = variablesOf(dashboard).filter(({ type }) => type === 'datasource')
    return when(source?.name !== 'datasource' || source.label !== 'Data source' || others.length > 0, 'one data source, named datasource')
  },
  'template-job-rule': (dashboard) => template(dashboard, 'job', 'Job'),
  'template-instance-rule': (dashboard) => template(dashboard, 'instance', 'Instance'),
  'template-label-promql-rule': (dashboard) => asked(dashboard).flatMap(({ name, definition = '', query }) => [
    ...when((query as unknown as { query: string }).query !== definition, `$${name} says what it asks`),
    ...when(!isParsed(interpolated(selectorOf(definition).selector, variablesOf(dashboard))), `$${name} asks ${definition}`)
  ]),
  'template-on-time-change-reload-rule': (dashboard) => asked(dashboard).flatMap((variable) => when((variable as { refresh?: number }).refresh !== 2, `$${variable.name}`)),
  'panel-datasource-rule': ofPanels(({ datasource }) => datasource?.uid !== '${datasource}'), // eslint-disable-line no-template-curly-in-string
  'panel-title-description-rule': ofPanels(({ title, description }) => !title || !description),
  'panel-units-rule': ofPanels(({ fieldConfig }) => {
    const overrides = fieldConfig?.overrides.flatMap(({ properties }) => properties) ?? []
    if (overrides.some(({ id }) => id === 'mappings') || (fieldConfig?.defaults.mappings?.length ?? 0) > 0) return false
    return !UNITS.includes(String(overrides.filter(({ id }) => id === 'unit').at(-1)?.value ?? fieldConfig?.defaults.unit))
  }),
  'panel-no-targets-rule': ofPanels((panel) => targetsOf(panel).length === 0),
  'target-logql-rule': ofTargets(({ datasource }) => datasource?.uid !== '${datasource}'), // eslint-disable-line no-template-curly-in-string
  'target-logql-auto-rule': ofTargets(({ expr }) => expr.includes('$__auto')),
  'target-promql-rule': ofTargets(({ expr }, dashboard) => !isParsed(interpolated(expr, variablesOf(dashboard)))),
  'target-rate-interval-rule': ofTargets(({ expr }) => RATE_INTERVAL.test(expr)),
  'target-job-rule': ofTargets(({ expr }) => lacks(expr, 'job')),
  'target-instance-rule': ofTargets(({ expr }) => lacks(expr, 'instance')),
  'target-counter-agg-rule': ofTargets(({ expr }) => {
    const grown = [...expr.matchAll(/\b(?:rate|irate|increase)\((\w+_total)\{/g)].length
    return (expr.match(/\w+_total\{/g) ?? []).length > grown
  }),
  'uneditable-dashboard': ({ editable }) => when(editable !== false, 'it can be edited')
}

const { exclusions, ...others } = parse(readFileSync(new URL('../../examples/grafana/dashboards/.lint', import.meta.url), 'utf8')) as { exclusions: Record<string, Exclusion> }

for (const [name, rule] of Object.entries(rules)) {
  t.test(name, (t) => {
    const { entries, reason } = exclusions[name] ?? {}
    const objections = dashboards.flatMap(({ dashboard }) => rule(dashboard).map((objection) => ({ ...objection, dashboard: dashboard.title ?? '' })))
    const matches = (entry: object, objection: object) => Object.entries(entry).every(([key, value]) => objection[key as keyof typeof objection] === value)
    t.same(objections.filter((objection) => !(entries ?? []).some((entry) => matches(entry, objection))), [], 'it holds, but for the exceptions')
    if (name in exclusions) {
      t.ok((reason?.length ?? 0) > 20, 'the exceptions have a reason')
      t.ok((entries?.length ?? 0) > 0, 'and name their panels')
      t.same(entries?.filter((entry) => !objections.some((objection) => matches(entry, objection))), [], 'each exception is needed')
    }
    t.end()
  })
}

t.test('exceptions are of rules that there are', (t) => {
  t.same(Object.keys(exclusions).filter((name) => !(name in rules)), [])
  t.same(others, {}, 'and nothing is a mere warning')
  t.end()
})

function when (objects: boolean, why: string): Objection[] {
  return objects ? [{ why }] : []
}

function asked (dashboard: Dashboard): VariableModel[] {
  return variablesOf(dashboard).filter(({ type }) => type === 'query')
}

function template (dashboard: Dashboard, name: string, label: string): Objection[] {
  const variable = asked(dashboard).find((variable) => variable.name === name)
  return when(variable?.label !== label || variable.multi !== true || variable.allValue !== '.+' || variable.datasource?.uid !== '${datasource}', `$${name}`) // eslint-disable-line no-template-curly-in-string
}

function ofPanels (objects: (panel: AnyPanel) => boolean): Rule {
  return (dashboard) => shownBy(dashboard).filter(({ type }) => CHECKED.includes(type)).flatMap((panel) => objects(panel) ? [{ panel: panel.title ?? '', why: 'the panel' }] : [])
}

function ofTargets (objects: (target: Query, dashboard: Dashboard) => boolean): Rule {
  return (dashboard) => shownBy(dashboard).flatMap((panel) => targetsOf(panel).flatMap((target, index) =>
    objects(target, dashboard) ? [{ panel: panel.title ?? '', targetIdx: String(index), why: target.expr }] : []))
}

function lacks (expr: string, label: string): boolean {
  return selectorsIn(expr.replace(/\[\$\w+\]/g, '[1m]').replace(/, \$threshold,/g, ', 1,')).some(({ matchers }) => !matchers.some(({ text }) => text === `${label}=~"$${label}"`))
}
