import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startAlertmanager } from '../support/alertmanager.js'
import { startPrometheus } from '../support/prometheus.js'
import { OF_SERVICE, rulesFolder } from '../support/rules.js'
import { temporaryFolder } from '../support/temporary-folder.js'
import { take, type Course, type Drill, type Patient } from './drill.js'
import { drills } from './drills.js'
import { recordOf, type Record } from './record.js'
import { tableOf } from './table.js'

/*
 * npm run drills: services that are made sick for real, all at once, each with a namespace of its own; a Prometheus with the rules and an Alertmanager with the
 * configuration of examples/prometheus; what fired when, and how many messages were sent. It takes three quarters of an hour.
 *
 * DRILLS=a,b          only these
 * DRILLS_BEFORE=dir   other rules, of that folder, look at the same, with an Alertmanager that groups by name and inhibits nothing
 * UPDATE_DOCS=1       writes docs/drills.md
 */
const MINUTE = 60_000
const BEFORE = 10 * MINUTE
const AFTER = 8 * MINUTE
/** Rules look back two minutes, and are evaluated twice in each. */
const LATE_SECONDS = 150

const PLAIN = `
route:
  receiver: pager
  group_by: [namespace, job, alertname]
receivers:
  - name: pager
    webhook_configs:
      - url: http://127.0.0.1:9094/pager
`

const only = process.env['DRILLS']?.split(',')
const unknown = only?.filter((name) => !drills.some((drill) => drill.name === name)) ?? []
if (unknown.length > 0) throw new Error(`DRILLS names ${unknown.join(', ')}; there are ${drills.map(({ name }) => name).join(', ')}`)
const chosen = drills.filter(({ name }) => only?.includes(name) ?? true)

const started = Date.now()
const say = (what: string) => { process.stderr.write(`${((Date.now() - started) / MINUTE).toFixed(1)} min  ${what}\n`) }

t.test('drills', async (t) => {
  const folder = await temporaryFolder(t, 'drills')
  const targetsFile = join(folder, 'targets.json')
  const patients: Array<[Drill, Patient]> = []
  for (const drill of chosen) {
    patients.push([drill, await drill.start(t)])
    say(`${drill.name}: up`)
  }
  // A patient may lose targets; Prometheus is not told.
  const scraped = new Map(patients.map(([{ name }, { targets }]) => [name, [...targets]]))
  const write = () => writeFile(targetsFile, JSON.stringify([...scraped].map(([namespace, targets]) => ({ targets, labels: { namespace } }))))
  await write()
  const vanish = async ({ name }: Drill) => { scraped.delete(name); await write() }

  const observe = async (rules: string, config: string) => {
    const alertmanager = await startAlertmanager(t, config)
    if (alertmanager === undefined) return undefined
    const prometheus = await startPrometheus(t, {
      global: { scrape_interval: '15s', evaluation_interval: '15s' },
      rule_files: OF_SERVICE.map((file) => join(rules, file)),
      scrape_configs: [{ job_name: 'dog-walking', file_sd_configs: [{ files: [targetsFile] }] }],
      alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager.url.slice('http://'.length)] }] }] }
    })
    return prometheus && { prometheus, notifications: alertmanager.notifications }
  }
  const ours = await observe(rulesFolder, await readFile(join(rulesFolder, 'alertmanager.yml'), 'utf8'))
  if (ours === undefined) return
  const beforeFolder = process.env['DRILLS_BEFORE']
  const theirs = beforeFolder === undefined ? undefined : await observe(beforeFolder, PLAIN)

  const since = Date.now()
  const courses: Course[] = []
  await Promise.all(patients.map(async ([drill, patient]) => {
    try {
      courses.push(await take(drill, patient, { before: BEFORE, after: AFTER, vanish, say }))
    } catch (error) {
      // The others go on.
      t.error(error, drill.name)
    }
  }))
  const rows: Array<{ course: Course, now: Record, before: Record | undefined }> = []
  for (const course of courses.sort((a, b) => drills.indexOf(a.drill) - drills.indexOf(b.drill))) {
    const now = await recordOf(ours.prometheus, ours.notifications, course, since)
    const before = theirs && await recordOf(theirs.prometheus, theirs.notifications, course, since)
    rows.push({ course, now, before })
  }
  const table = tableOf(rows)
  process.stderr.write(`\n${table}\n`)
  if (process.env['UPDATE_DOCS']) {
    const page = new URL('../../docs/drills.md', import.meta.url)
    const text = await readFile(page, 'utf8')
    await writeFile(page, text.replace(/(?<=<!-- drills: [^\n]*-->\n)[^]*(?=<!-- \/drills -->)/, () => table))
  }

  for (const { course: { drill, began, ended }, now: { fired, pages } } of rows) {
    const names = fired.map(({ alertname }) => alertname)
    for (const name of drill.fires) t.ok(names.includes(name), `${drill.name}: ${name} fires`)
    t.same(names.filter((name) => !drill.fires.includes(name) && drill.mayFire?.test(name) !== true), [], `${drill.name}: nothing else does`)
    for (const { alertname, began: at } of fired) t.ok(at >= 0 && at < (ended - began) / 1000 + LATE_SECONDS, `${drill.name}: ${alertname} begins while it lasts`)
    if (!fired.some(({ severity }) => severity === 'critical')) t.equal(pages.messages, 0, `${drill.name}: nobody is paged`)
  }
})
