import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { everyBlockIsTaken, guide } from '../support/guide.js'
import { unpackPackage, type PackageFolder } from '../support/package-folder.js'
import { freePort, startPostgres, type Postgres } from '../support/postgres.js'
import { startProgram } from '../support/program.js'
import { Prometheus, type Rule } from '../support/prometheus.js'
import { promtool } from '../support/promtool.js'

/*
 * docs/getting-started.md is followed literally: each block in its turn, in an empty folder, with the package as npm packs it and with the Prometheus that
 * the page starts. Only the ports are others, and what npm would install is linked.
 */
const page = guide('getting-started')
/** The blocks, and the line of prose before each: '' where that is another block. */
const steps = [...page.text.matchAll(/(.*)\n\n```(\w*)\n([^]*?)^```$/gm)].map(([, before = '', language = '', code = '']) => ({ before, language, code }))
/** How long the page tells the reader to wait for numbers. */
const A_MINUTE = 60_000

/** A reader, and the terminals that are open. */
class Reader {
  readonly #t: Test
  readonly #postgres: Postgres['config']
  readonly #ports: Readonly<Record<string, number>>
  #folder: PackageFolder | undefined
  #service: ChildProcess | undefined
  #trafficSince = 0
  /** What the last command printed. */
  printed = ''
  /** Each query of the page with what it gave in the end. */
  readonly answers: Array<[query: string, values: number[]]> = []

  constructor (t: Test, postgres: Postgres['config'], ports: Readonly<Record<string, number>>) {
    this.#t = t
    this.#postgres = postgres
    this.#ports = ports
  }

  get folder (): PackageFolder {
    if (this.#folder === undefined) throw new Error('the page has not made a project yet')
    return this.#folder
  }

  get prometheus (): Prometheus {
    return new Prometheus(`http://127.0.0.1:${this.#ports['9090']}`, [])
  }

  async follow ({ before, language, code: written }: (typeof steps)[number]): Promise<void> {
    const code = written.replace(/\b(3000|9090)\b/g, (port) => String(this.#ports[port]))
    if (language === 'promql') await this.#ask(code.trim())
    else if (language === 'text') await this.#sees(code)
    else if (language === 'sh') await this.#type(code)
    else await this.#write(/^`([^`]+)`/.exec(before)?.[1] ?? '', before, code)
  }

  async #type (code: string): Promise<void> {
    if (code.startsWith('npm init')) this.#folder = await unpackPackage(this.#t, code.replace(/^npm install .*$/m, 'mkdir node_modules'))
    else if (code.startsWith('prometheus --config')) await this.#begin(`exec ${code}`, 'Server is ready to receive web requests')
    else if (code === 'node service.js\n') this.#service = await this.#begin(`exec ${code}`, 'Server listening')
    else if (code.startsWith('for ')) {
      this.#trafficSince = Date.now()
      await this.#begin(code)
    } else if (!code.startsWith('npm install')) this.printed = await this.folder.shell(code)
    for (const [, name = ''] of (/^npm install (.*)$/m.exec(code)?.[1] ?? '').matchAll(/(\S+)/g)) this.#t.ok(existsSync(this.folder.join('node_modules', name)), `${name} is installed`)
  }

  /** Writes a file that the page names. What stands at another place of the machine is written below the folder. */
  async #write (file: string, before: string, code: string): Promise<void> {
    if (!before.includes('before its last line')) return await this.folder.write({ [file]: code })
    const service = readFileSync(this.folder.join(file), 'utf8')
    await this.folder.write({ [file]: service.replace(/^await fastify\.listen.*$/m, (line) => `${code}\n${line}`) })
    const ended = once(this.#service as ChildProcess, 'exit')
    this.#service?.kill('SIGINT')
    await ended
    this.#service = await this.#begin('exec node service.js', 'Server listening')
  }

  /** The page of metrics has these lines. */
  async #sees (lines: string): Promise<void> {
    const there = (await this.folder.shell(`curl --silent http://localhost:${this.#ports['3000']}/metrics`)).split('\n')
    for (const line of lines.trim().split('\n')) this.#t.ok(there.includes(line), line)
  }

  /** Looks until a query gives numbers: Prometheus tells nobody. After the minute of the page it has what it has. */
  async #ask (query: string): Promise<void> {
    let values: number[] = []
    do {
      values = (await this.prometheus.query(query)).map(({ value }) => value)
      if (values.length > 0 && values.every((value) => value > 0)) break
      await sleep(500)
    } while (Date.now() < this.#trafficSince + A_MINUTE)
    this.answers.push([query, values])
  }

  /** Types a command that goes on into a terminal of its own, and waits until it has printed something. */
  async #begin (command: string, until?: string): Promise<ChildProcess> {
    const { host, port, user, password, database } = this.#postgres
    const env = { ...process.env, NODE_OPTIONS: '', PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: database }
    const child = await startProgram(this.#t, 'sh', ['-ec', `${command.trim()} 2>&1`], 'a shell', { cwd: this.folder.path, env, stdio: ['ignore', 'pipe', 'ignore'] }) as ChildProcess
    const said: string[] = []
    if (until !== undefined) {
      for await (const line of createInterface(child.stdout as NodeJS.ReadableStream)) {
        said.push(line)
        if (line.includes(until)) break
      }
      if (!said.at(-1)?.includes(until)) throw new Error(`${command} did not say '${until}':\n${said.join('\n')}`)
    }
    child.stdout?.resume()
    return child
  }
}

t.test('who follows the page ends in numbers', async (t) => {
  t.same(steps.map(({ language, code }) => ({ language, code })), page.blocks, 'each block is a step')
  if (promtool(t, ['--version']) === undefined) return
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const reader = new Reader(t, postgres.config, { 3000: await freePort(), 9090: await freePort() })
  for (const step of steps) {
    await reader.follow(step)
    page.code(step.language, step.code)
    if (step.code.startsWith('promtool check')) t.match(reader.printed, /2 rule files found[^]*SUCCESS/)
  }

  t.equal(reader.answers.length, 4)
  for (const [query, values] of reader.answers) t.ok(values.length > 0 && values.every((value) => value > 0), `${query} is ${values.join()}`)
  const [[, up], [, rates], [, quantiles]] = reader.answers as [[string, number[]], [string, number[]], [string, number[]]]
  t.same(up, [1])
  t.equal(rates.length, 2)
  for (const rate of rates) t.ok(rate <= 1, `one a second at most: ${rate}`)
  for (const quantile of quantiles) t.ok(quantile < 0.1, `some milliseconds: ${quantile}`)

  // The first evaluation may be before the first scrape, when no target is there yet: the next one counts.
  await reader.prometheus.evaluated('alert')
  const { groups } = await reader.prometheus.get<{ groups: Array<{ rules: Rule[] }> }>('rules')
  const names = groups.flatMap(({ rules }) => rules.map(({ name }) => name))
  t.ok(names.includes('HttpErrorsFastBurn') && names.includes('job:http_requests:rate2m'), 'Prometheus has the rules')
  const { alerts } = await reader.prometheus.get<{ alerts: Array<{ labels: Record<string, string> }> }>('alerts')
  t.same(alerts.map(({ labels }) => labels['alertname']).filter((name) => name !== 'Watchdog'), [], 'and nothing to alert on')

  const { text } = page
  t.ok(text.indexOf('Install Prometheus') < text.indexOf('promtool'), 'promtool is there before it is used')
  t.match(await reader.folder.shell('cat rules/fastify-prometheus.alerts.yml'), 'up{job="walks"}', 'the job of the alerts is the one of prometheus.yml')
  t.ok((steps.find(({ language }) => language === 'js')?.code.split('\n').length ?? 0) <= 25, 'the service is short')
})

t.test('the files of Grafana are those of the example', async (t) => {
  const provisioning = fileURLToPath(new URL('../../examples/grafana/provisioning', import.meta.url))
  interface Provisioning { apiVersion: number, datasources?: object[], providers?: object[] }
  for (const [mark, file] of [['datasources', 'datasources/prometheus.yml'], ['providers', 'dashboards/fastify-prometheus.yml']] as const) {
    const [said, example] = [parse(page.code('yaml', mark)), parse(readFileSync(join(provisioning, file), 'utf8'))] as Provisioning[]
    const keys = (of: Provisioning | undefined) => Object.keys((of?.[mark] ?? [])[0] ?? {})
    t.equal(said?.apiVersion, example?.apiVersion)
    t.same(keys(said).filter((key) => !keys(example).includes(key)), [], `${mark}: no key that the example has not`)
  }
  t.match(page.text, `${['no', 'one', 'two', 'three', 'four', 'five', 'Six'][(await readdir(join(provisioning, '../dashboards'))).filter((name) => name.endsWith('.json')).length]} dashboards are in`)
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['getting-started'])
  t.end()
})
