import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { hurriedRoute, startAlertmanager } from '../support/alertmanager.js'
import { startDependent } from '../support/dependent.js'
import { answers, startProgram } from '../support/program.js'
import { freePort } from '../support/postgres.js'
import { GENERATED, hurried, rulesFolder } from '../support/rules.js'
import { startService } from '../support/service.js'
import { temporaryFolder } from '../support/temporary-folder.js'

/*
 * A second engine: VictoriaMetrics scrapes the service, and its vmalert evaluates the rules that are made for engines without native histograms.
 */
const FROM = 'apt-get install victoria-metrics'

interface Rule {
  readonly name: string
  readonly type: 'recording' | 'alerting'
  readonly lastError?: string
  readonly lastEvaluation: string
}

t.test('vmalert evaluates every rule without an error, records, and fires', async (t) => {
  const service = await startService(t)
  const dependent = await startDependent(t)
  if (dependent === undefined) return
  const folder = await temporaryFolder(t, 'vm')
  const made = spawnSync(process.execPath, [join(rulesFolder, 'generate.js'), '--histograms=classic', `--out=${folder}`], { encoding: 'utf8' })
  t.equal(made.status, 0, made.stderr)
  const files = await hurried(t, GENERATED.map((file) => join(folder, file)).concat(join(rulesFolder, 'dog-walking.rules.yml')))
  for (const file of files) t.notMatch(await readFile(file, 'utf8'), /histogram_(count|fraction)/)

  const [storage, alerts] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
  const scrape = join(folder, 'scrape.yml')
  // JSON is YAML.
  await writeFile(scrape, JSON.stringify({ scrape_configs: [{ job_name: 'dog-walking', scrape_interval: '1s', static_configs: [{ targets: [service.url.slice('http://'.length)] }] }, { job_name: 'dependent', scrape_interval: '1s', static_configs: [{ targets: [dependent.target] }] }] }))
  // It does not show what was just stored for half a minute, unless it is told to.
  const database = await startProgram(t, 'victoria-metrics', [`-storageDataPath=${join(folder, 'data')}`, `-httpListenAddr=${storage}`, `-promscrape.config=${scrape}`, '-search.latencyOffset=1s', '-search.disableCache'], FROM, { stdio: 'ignore' })
  if (database === undefined) return
  await answers(database, `http://${storage}/health`)
  const url = `http://${storage}`
  const alertmanager = await startAlertmanager(t, hurriedRoute(await readFile(join(rulesFolder, 'alertmanager.yml'), 'utf8')))
  if (alertmanager === undefined) return
  const vmalert = await startProgram(t, 'vmalert', [...files.map((file) => `-rule=${file}`), `-datasource.url=${url}`, `-remoteWrite.url=${url}`, '-remoteWrite.flushInterval=1s', `-notifier.url=${alertmanager.url}`, `-httpListenAddr=${alerts}`], FROM, { stdio: 'ignore' })
  if (vmalert === undefined) return
  await answers(vmalert, `http://${alerts}/health`)

  const get = async <T>(address: string) => await (await fetch(address)).json() as T
  const rules = async () => (await get<{ data: { groups: Array<{ rules: Rule[] }> } }>(`http://${alerts}/api/v1/rules`)).data.groups.flatMap(({ rules }) => rules)
  const has = async (query: string) => (await get<{ data: { result: unknown[] } }>(`${url}/api/v1/query?${new URLSearchParams({ query }).toString()}`)).data.result.length > 0
  const until = async (what: string, holds: () => Promise<boolean>) => {
    for (let tries = 0; !await holds(); tries++) {
      if (tries > 400) throw new Error(`waited in vain for ${what}`)
      await sleep(100)
    }
  }

  await until('what is recorded', async () => {
    await Promise.all([service.everyday(), dependent.everyday()])
    return has('job:http_requests:rate2m{job="dog-walking"} > 0')
  })
  await until('an alert', async () => {
    await service.databaseDown()
    return has('ALERTS{alertname="HttpErrorsFastBurn", alertstate="firing", job="dog-walking"}')
  })
  await until('tickets', async () => {
    await dependent.everyday()
    return await has('ALERTS{alertname="OutgoingRequestErrors", alertstate="firing", job="dependent"}') && await has('ALERTS{alertname="CacheErrors", alertstate="firing", job="dependent"}')
  })
  await until('all groups', async () => (await rules()).every(({ lastEvaluation }) => Date.parse(lastEvaluation) > 0))
  const evaluated = await rules()
  t.ok(evaluated.length > 100, `${evaluated.length} rules`)
  for (const { name, lastError } of evaluated) t.equal(lastError ?? '', '', name)
  for (const { name } of evaluated.filter(({ type }) => type === 'recording')) await until(name, () => has(name))
  await until('a page', async () => alertmanager.notifications.some(({ receiver, groupLabels }) => receiver === 'pager' && groupLabels['job'] === 'dog-walking'))
  t.notOk(await has('ALERTS{alertname=~"RulesSeeNothing|TargetMissing|ServiceDown", alertstate="firing"}'))
})
