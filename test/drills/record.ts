import type { Notification } from '../support/alertmanager.js'
import type { Prometheus } from '../support/prometheus.js'
import type { Course } from './drill.js'

/** An alert of one drill. */
export interface Fired {
  readonly alertname: string
  readonly severity: string
  /** Seconds after the fault began. */
  readonly began: number
  /** Seconds after the fault ended; less than 0 where it ended before; undefined where it still fires. */
  readonly ended: number | undefined
}

/** What one set of rules, and one Alertmanager, made of a drill. */
export interface Record {
  readonly fired: readonly Fired[]
  readonly pages: Told
  readonly tickets: Told
}

/** What a receiver was told. */
export interface Told {
  /** How often a group began to fire: PagerDuty and the like make an incident of each. */
  readonly incidents: number
  /** Those that only say that all is over are left out. */
  readonly messages: number
}

const STEP = 15

/** Reads what fired in a drill's namespace, each alert with its first and last moment. */
export async function recordOf (prometheus: Prometheus, notifications: readonly Notification[], { drill, began, ended, over }: Course, since: number): Promise<Record> {
  const { result } = await prometheus.get<{ result: Array<{ metric: { [label: string]: string }, values: Array<[seconds: number, value: string]> }> }>('query_range', {
    query: `max by (alertname, severity) (ALERTS{alertstate="firing", namespace="${drill.name}"})`,
    start: String(since / 1000),
    end: String(over / 1000),
    step: String(STEP)
  })
  const fired = result.map(({ metric, values }) => ({
    alertname: metric['alertname'] ?? '',
    severity: metric['severity'] ?? '',
    began: Math.round((values[0]?.[0] ?? 0) - began / 1000),
    ended: (values.at(-1)?.[0] ?? 0) > over / 1000 - STEP ? undefined : Math.round((values.at(-1)?.[0] ?? 0) + STEP - ended / 1000)
  })).sort((a, b) => a.began - b.began)
  const mine = notifications.filter(({ at, groupLabels }) => groupLabels['namespace'] === drill.name && at <= over)
  return { fired, pages: toldTo('pager', mine), tickets: toldTo('tickets', mine) }
}

function toldTo (receiver: string, notifications: readonly Notification[]): Told {
  const firing = new Set<string>()
  let incidents = 0
  let messages = 0
  for (const { groupLabels, status, receiver: to } of notifications) {
    if (to !== receiver) continue
    const group = JSON.stringify(groupLabels)
    if (status === 'resolved') {
      firing.delete(group)
      continue
    }
    messages++
    if (!firing.has(group)) incidents++
    firing.add(group)
  }
  return { incidents, messages }
}
