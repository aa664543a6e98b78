import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import {
  AnnotationQueryBuilder, DashboardBuilder, DashboardCursorSync, DashboardLinkBuilder, DashboardLinkType, RowBuilder,
  type Dashboard, type DashboardLink, type Panel, type RowPanel, type VariableModel
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { RUNBOOK } from './links.js'
import { series } from './queries.js'
import { datasource, serviceVariables } from './variables.js'

/** Grafana 11's. Later ones bring it up to their own; none takes it down from one that it does not know. */
const SCHEMA_VERSION = 39

/** The dashboards by their uids, which never change: links and bookmarks are made of them. */
export const titles = {
  'fastify-prometheus-overview': 'Service overview',
  'fastify-prometheus-routes': 'By route',
  'fastify-prometheus-database': 'Database and pools',
  'fastify-prometheus-dependencies': 'Caches and other services',
  'fastify-prometheus-business': 'Models and business',
  'fastify-prometheus-runtime': 'Node runtime'
} as const

export type Uid = keyof typeof titles

/** A title, and panels from left to right; a line is 24 wide. */
export interface Row {
  readonly title: string
  readonly panels: ReadonlyArray<Builder<Panel>>
  /** Asks nothing before it is opened. */
  readonly collapsed?: true
}

/** What makes a dashboard one of these. */
export interface Content {
  readonly uid: Uid
  readonly description: string
  /** Those after the service's own. */
  readonly variables?: ReadonlyArray<Builder<VariableModel>>
  readonly rows: readonly Row[]
  /** How far back it looks. Default: 1h. */
  readonly hours?: number
}

export function dashboardOf ({ uid, description, variables = [], rows, hours = 1 }: Content): Dashboard {
  const builder = new DashboardBuilder(titles[uid])
    .uid(uid)
    .description(description)
    .tags(['fastify-prometheus'])
    .tooltip(DashboardCursorSync.Crosshair)
    .readonly()
    .refresh('30s')
    .time({ from: `now-${hours}h`, to: 'now' })
    .variables([...serviceVariables(), ...variables])
    .links([...(Object.keys(titles) as Uid[]).filter((other) => other !== uid).map(linkTo), runbook()])
    .annotation(restarts())
    .annotation(newProcesses())
    .annotation(deployments())
  for (const row of rows) add(row, builder)
  return numbered({ ...builder.build(), schemaVersion: SCHEMA_VERSION })
}

function add ({ title, panels, collapsed }: Row, builder: DashboardBuilder): void {
  const row = new RowBuilder(title)
  if (collapsed) {
    for (const panel of panels) row.withPanel(panel)
    builder.withRow(row.collapsed(true))
  } else {
    builder.withRow(row)
    for (const panel of panels) builder.withPanel(panel)
  }
}

/** Every panel and row by a number of its own, in reading order. */
function numbered (dashboard: Dashboard): Dashboard {
  let id = 0
  const number = (panel: Panel | RowPanel): Panel | RowPanel => {
    const numbered = { ...panel, id: ++id }
    return 'panels' in numbered ? { ...numbered, panels: numbered.panels.map((inner) => number(inner) as Panel) } : numbered
  }
  return { ...dashboard, panels: (dashboard.panels ?? []).map(number) }
}

function linkTo (uid: Uid): Builder<DashboardLink> {
  return new DashboardLinkBuilder(titles[uid]).type(DashboardLinkType.Link).url(`/d/${uid}`).icon('dashboard').includeVars(true).keepTime(true)
}

function runbook (): Builder<DashboardLink> {
  return new DashboardLinkBuilder('Runbook').type(DashboardLinkType.Link).url(RUNBOOK).icon('doc').targetBlank(true)
}

const PROCESS_LABELS = 'namespace, job, pod, instance'
const START = series('process_start_time_seconds')
/** A process that began within a quarter of an hour, by when that was: the same time at each step, which Grafana draws once. */
const BEGAN = `1000 * ${START} > 1000 * (time() - 900)`
/** Addresses where another process was within the hour before. */
const AGAIN = `changes(${START}[1h]) > 0`
/** Addresses where the version of Node changed within the hour before: somebody deployed. */
const UPGRADED = `count by (${PROCESS_LABELS}) (count by (${PROCESS_LABELS}, version) (count_over_time(${series('nodejs_version_info')}[1h]))) > 1`

/** A line where a process began anew at its address: a crash, or a deployment to a machine that stays. */
function restarts (): AnnotationQueryBuilder {
  return annotation('Restarts', 'red', `${BEGAN} and ${AGAIN} unless on (${PROCESS_LABELS}) ${UPGRADED}`, 'Process restarted')
}

/** A line where a process began at an address that is new, or with another version: a deployment, or more pods. */
function newProcesses (): AnnotationQueryBuilder {
  return annotation('New processes', 'blue', `(${BEGAN} unless ${AGAIN}) or (${BEGAN} and on (${PROCESS_LABELS}) ${UPGRADED})`, 'New process')
}

const BUILD_LABELS = 'namespace, job, version, commit'
const BUILD = series('app_build_info')

/**
 * A line where the first process of a version began, if no process had that version five to ten minutes before: a deployment, or a rollback. It
 * stands at the same time at each step.
 */
function deployments (): AnnotationQueryBuilder {
  const began = `1000 * min by (${BUILD_LABELS}) (${START} * on (${PROCESS_LABELS}) group_right () ${BUILD})`
  const before = `count by (${BUILD_LABELS}) (count_over_time(${BUILD}[5m] offset 5m))`
  return annotation('Deployments', 'green', `${began} > 1000 * (time() - 900) unless ${before}`, 'Deployed {{version}}', '{{job}} {{commit}}')
}

function annotation (name: string, color: string, expr: string, title: string, text = '{{pod}} {{instance}}'): AnnotationQueryBuilder {
  const target: Builder<Dataquery> = new DataqueryBuilder().expr(expr).datasource(datasource).refId(name).range()
  return new AnnotationQueryBuilder()
    .name(name).enable(true).iconColor(color).datasource(datasource)
    .target(target)
    // Grafana 11 reads these, later ones the target.
    .expr(expr).step('60s').useValueForTime(true).titleFormat(title).textFormat(text)
}
