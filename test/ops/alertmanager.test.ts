import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { hurriedRoute, startAlertmanager, type Notification } from '../support/alertmanager.js'
import { unavailable } from '../support/program.js'
import { rules, rulesFolder } from '../support/rules.js'

/*
 * alertmanager.yml: who is told of what, and what is not told because its cause is.
 */
const file = join(rulesFolder, 'alertmanager.yml')
const config = readFileSync(file, 'utf8')
const names = [...new Set(rules.flatMap(({ alert }) => alert ?? []))]

function amtool (t: Test, ...args: string[]): { status: number | null, stdout: string } | undefined {
  const { error, status, stdout } = spawnSync('amtool', args, { encoding: 'utf8' })
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
    unavailable(t, 'amtool is not on the PATH: apt-get install prometheus-alertmanager')
    return undefined
  }
  return { status, stdout }
}

t.test('amtool finds it right, and every alert goes to whom its severity says', (t) => {
  const check = amtool(t, 'check-config', file)
  if (check === undefined) return t.end()
  t.match(check, { status: 0, stdout: /SUCCESS/ })
  const receiverOf: Readonly<Record<string, string>> = { critical: 'pager', warning: 'tickets', none: 'watchdog' }
  for (const { alert, labels } of rules) {
    if (alert === undefined) continue
    const severity = labels?.severity ?? ''
    t.same(amtool(t, 'config', 'routes', 'test', `--config.file=${file}`, `alertname=${alert}`, `severity=${severity}`, 'job=dog-walking'), { status: 0, stdout: `${receiverOf[severity]}\n` }, alert)
  }
  // Of somebody else, who says no severity.
  t.match(amtool(t, 'config', 'routes', 'test', `--config.file=${file}`, 'alertname=DiskFull'), { stdout: 'tickets\n' })
  t.end()
})

interface Inhibition {
  readonly source_matchers: readonly [string]
  readonly target_matchers: readonly [string]
  readonly equal: readonly string[]
}

t.test('every name in it is an alert that there is, and no alert silences itself', (t) => {
  const { inhibit_rules: inhibitions } = parse(config) as { inhibit_rules: readonly Inhibition[] }
  const matched = ([matcher]: readonly [string]) => {
    const [, operator = '', pattern = ''] = /^alertname(!~|=~|=)"(.+)"$/.exec(matcher) ?? []
    for (const alternative of pattern.replace(/\(([^)]*)\)/g, '.+').split('|')) {
      t.ok(names.some((name) => new RegExp(`^(?:${alternative})$`).test(name)), `${matcher}: ${alternative}`)
    }
    return names.filter((name) => new RegExp(`^(?:${pattern})$`).test(name) === (operator !== '!~'))
  }
  for (const { source_matchers: source, target_matchers: target, equal } of inhibitions) {
    const sources = matched(source)
    const targets = matched(target)
    t.ok(sources.length > 0 && targets.length > 0)
    t.same(sources.filter((name) => targets.includes(name)), [], `${source[0]} is not among its own consequences`)
    t.same(equal.slice(0, 2), ['namespace', 'job'], 'in the same service and environment')
    t.notOk(targets.includes('Watchdog'), 'the watchdog is never silenced')
  }
  t.end()
})

const hurried = hurriedRoute(config)

const dogs = { namespace: 'dogs', job: 'dog-walking' }
const severityOf = new Map(rules.map(({ alert = '', labels }) => [alert, labels?.severity ?? '']))
const alert = (alertname: string, more: Record<string, string> = {}) => ({ alertname, severity: severityOf.get(alertname) ?? '', ...dogs, ...more })

/** What each receiver was told is firing, notification by notification. */
function told (notifications: readonly Notification[], namespace: string): Record<string, string[][]> {
  const by: Record<string, string[][]> = {}
  for (const { receiver, alerts, groupLabels, status } of notifications) {
    if (groupLabels['namespace'] !== namespace || status !== 'firing') continue
    (by[receiver] ??= []).push([...new Set(alerts.filter(({ status }) => status === 'firing').map(({ labels }) => labels['alertname'] ?? ''))].sort())
  }
  return by
}

t.test('no ticket silences a page', (t) => {
  const { inhibit_rules: inhibitions } = parse(config) as { inhibit_rules: readonly Inhibition[] }
  const matches = ([matcher]: readonly [string], name: string) => {
    const [, operator = '', pattern = ''] = /^alertname(!~|=~|=)"(.+)"$/.exec(matcher) ?? []
    return new RegExp(`^(?:${pattern})$`).test(name) === (operator !== '!~')
  }
  for (const { source_matchers: source, target_matchers: target } of inhibitions) {
    const severities = (matchers: readonly [string]) => names.filter((name) => matches(matchers, name)).map((name) => severityOf.get(name))
    if (severities(source).includes('warning')) t.notOk(severities(target).includes('critical'), `${source[0]} silences ${target[0]}`)
  }
  t.end()
})

t.test('a real Alertmanager sends one message for a dead database and its consequences, and for a service that is gone', async (t) => {
  const alertmanager = await startAlertmanager(t, hurried)
  if (alertmanager === undefined) return
  const routes = ['/', '/walks/start', '/walks/complete', '/status'].map((route) => ({ method: 'GET', route }))
  const windows = ['1h', '6h'].map((window) => ({ window }))
  const consequences = [
    ...windows.map((window) => alert('HttpErrorsFastBurn', window)),
    ...routes.flatMap((route) => windows.map((window) => alert('HttpRouteErrorsFastBurn', { ...route, ...window }))),
    ...routes.map((route) => alert('HttpRouteErrorsSlowBurn', { ...route, window: '1d' })),
    alert('DatabaseConnectionErrors', { instance: 'a', alias: 'default' }),
    alert('DatabasePoolAcquireTimeouts', { alias: 'default' }),
    alert('NoWalkStarted')
  ]
  const [hangs, fails] = [{ namespace: 'kennels', host: 'api.example.com' }, { namespace: 'kennels', host: 'maps.example.com' }]
  const gone = { namespace: 'staging' }
  await alertmanager.tell([
    alert('Watchdog', { namespace: '', job: '' }),
    alert('DatabaseDown', { alias: 'default' }),
    ...consequences,
    // Another environment, of which nothing is silenced by that; and what does not follow from a database.
    alert('HttpErrorsFastBurn', { namespace: 'production', window: '1h' }),
    alert('HttpRouteErrorsFastBurn', { namespace: 'production', method: 'GET', route: '/', window: '1h' }),
    alert('EventLoopLag', { namespace: 'production', instance: 'a' }),
    // Other services: what one of them does says nothing of the other, and a ticket silences no page.
    ...['OutgoingRequestsHanging', 'OutgoingRequestErrors', 'OutgoingRequestsSlow'].map((name) => alert(name, hangs)),
    ...['OutgoingRequestErrors', 'OutgoingRequestsSlow'].map((name) => alert(name, fails)),
    alert('HttpRequestsHanging', { namespace: 'kennels', method: 'GET', route: '/' }),
    alert('TargetMissing', gone),
    ...names.filter((name) => !['Watchdog', 'TargetMissing', 'ServiceDown', 'ServiceCrashLooping'].includes(name)).map((name) => alert(name, { ...gone, instance: 'a' }))
  ])
  const wanted = 7
  for (let tries = 0; alertmanager.notifications.length < wanted && tries < 300; tries++) await sleep(50)
  // Long enough for another message of each group, which there must not be.
  await sleep(2500)
  const { notifications } = alertmanager
  t.same(told(notifications, 'dogs'), { pager: [['DatabaseDown']] })
  t.same(told(notifications, 'production'), { pager: [['HttpErrorsFastBurn']], tickets: [['EventLoopLag']] })
  t.same(told(notifications, 'kennels'), { pager: [['HttpRequestsHanging']], tickets: [['OutgoingRequestErrors', 'OutgoingRequestsHanging']] })
  t.same(told(notifications, 'staging'), { pager: [['TargetMissing']] })
  t.ok(notifications.some(({ receiver }) => receiver === 'watchdog'), 'and the watchdog barks')
  t.same((await alertmanager.active()).sort(), ['DatabaseDown', 'EventLoopLag', 'HttpErrorsFastBurn', 'HttpRequestsHanging', 'OutgoingRequestErrors', 'OutgoingRequestsHanging', 'TargetMissing', 'Watchdog'])

  await alertmanager.tell([alert('DatabaseDown', { alias: 'default' })], true)
  for (let tries = 0; (told(notifications, 'dogs')['pager'] ?? []).length < 2 && tries < 100; tries++) await sleep(50)
  t.same(told(notifications, 'dogs')['pager']?.[1], ['DatabasePoolAcquireTimeouts'], 'the next cause is told when the first is over')
})
