import type { Course } from './drill.js'
import type { Fired, Record, Told } from './record.js'

/** The drills as a table in Markdown: what fired and when, and the messages that were sent. */
export function tableOf (rows: ReadonlyArray<{ readonly course: Course, readonly now: Record, readonly before: Record | undefined }>): string {
  const lines = [
    '| drill | fired, minutes after the fault began; until, after it ended | pages | tickets | before: fired | before: pages |',
    '|---|---|---|---|---|---|'
  ]
  for (const { course: { drill }, now, before } of rows) {
    lines.push(`| ${[
      `**${drill.name}**: ${drill.what}`,
      now.fired.map(fired).join('<br>') || 'nothing',
      told(now.pages),
      told(now.tickets),
      before === undefined ? '' : before.fired.map(fired).join('<br>') || 'nothing',
      before === undefined ? '' : told(before.pages)
    ].join(' | ')} |`)
  }
  return `${lines.join('\n')}\n`
}

function told ({ incidents, messages }: Told): string {
  return messages === incidents ? String(incidents) : `${incidents}, told ${messages} times`
}

function fired ({ alertname, severity, began, ended }: Fired): string {
  return `${alertname}${severity === 'critical' ? '' : ` (${severity})`} ${minutes(began)}; ${ended === undefined ? 'still' : minutes(ended)}`
}

function minutes (seconds: number): string {
  return `${seconds < 0 ? '-' : '+'}${(Math.abs(seconds) / 60).toFixed(1)}`
}
