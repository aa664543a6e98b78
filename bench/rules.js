// Prints how many samples the rules read in one evaluation, for a service of 10 pods and 30 routes that is scraped every
// 15 seconds and has run for three days. Prometheus counts them (`stats=all` of its API).
// node bench/rules.js [folder of the rules]; default: examples/prometheus
// Needs prometheus and promtool on the PATH, and four minutes.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { freePort } from '../test/support/postgres.js'

const PODS = 10
const ROUTES = 30
const SCRAPE = 15
const EVALUATION = 30
const DAYS = 3
/** Of three statuses that routes answer with, one is a failure. */
const STATUSES = ['200', '404', '500']

const folder = process.argv[2] ?? fileURLToPath(new URL('../examples/prometheus/', import.meta.url))
const groups = ['fastify-prometheus.rules.yml', 'fastify-prometheus.alerts.yml'].flatMap((file) => parse(readFileSync(join(folder, file), 'utf8')).groups)
const end = Math.floor(Date.now() / 1000 / 60) * 60 - 600
const data = mkdtempSync(join(tmpdir(), 'fastify-prometheus-rules-'))
let server
try {
  process.stderr.write('writing three days of one route of ten pods ...\n')
  await writeSeries(join(data, 'series.om'))
  process.stderr.write('making blocks of it ...\n')
  execFileSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', join(data, 'series.om'), join(data, 'blocks')], { stdio: 'ignore', maxBuffer: Infinity })
  const address = `127.0.0.1:${await freePort()}`
  writeFileSync(join(data, 'prometheus.yml'), '{}')
  server = spawn('prometheus', [`--config.file=${join(data, 'prometheus.yml')}`, `--storage.tsdb.path=${join(data, 'blocks')}`, '--storage.tsdb.retention.time=10y', `--web.listen-address=${address}`], { stdio: ['ignore', 'ignore', 'pipe'] })
  for await (const chunk of server.stderr) if (String(chunk).includes('Server is ready')) break
  await print(`http://${address}`)
} finally {
  if (server !== undefined) {
    server.kill()
    await once(server, 'exit')
  }
  rmSync(data, { recursive: true, force: true })
}

/** What the rules read, as OpenMetrics with timestamps: what is scraped, and what is recorded. */
async function writeSeries (file) {
  const out = createWriteStream(file)
  const write = async (text) => { if (!out.write(text)) await once(out, 'drain') }
  const series = async (name, labels, step, value) => {
    for (let at = end - DAYS * 86400; at <= end; at += step) await write(`${name}{${labels}} ${value((at - end) / step + 1e6)} ${at}\n`)
  }
  const pods = Array.from({ length: PODS }, (_, i) => `namespace="dogs",job="dog-walking",instance="${i}"`)
  const route = 'method="GET",route="/"'
  const alias = 'alias="default",vendor="postgresql"'
  const scraped = [
    ['http_requests_received_total', [`${route},scheme="http"`]],
    ['http_request_duration_seconds_count', STATUSES.map((status) => `${route},status_code="${status}"`)],
    ['http_request_duration_seconds_bucket', STATUSES.map((status) => `${route},status_code="${status}",le="0.5"`)],
    ['http_requests_aborted_total', [route]],
    ['http_requests_in_flight', [route]],
    ['http_request_oldest_seconds', [route]],
    ['db_query_duration_seconds_count', [`${alias},operation="select"`]],
    ['db_query_errors_total', [`${alias},type="query_canceled"`]],
    ['db_connection_errors_total', [`${alias},type="ECONNREFUSED"`]],
    ['db_pool_acquire_timeouts_total', [alias]],
    ['db_pool_connections', [`${alias},state="used"`]],
    ['db_pool_connections_max', [alias]],
    ['db_queries_in_flight', [alias]],
    ['db_query_oldest_seconds', [alias]],
    ['db_migrations_pending', ['alias="default"']],
    ['process_start_time_seconds', ['']],
    ['nodejs_eventloop_lag_p99_seconds', ['']],
    ['up', ['']],
    ['metrics_series_dropped_total', ['metric="a"']],
    ['metrics_instrumentation_errors_total', ['source="a"']]
  ]
  for (const [name, sets] of scraped) {
    await write(`# TYPE ${name} unknown\n`)
    for (const pod of pods) for (const labels of sets) await series(name, [pod, labels].filter(Boolean).join(), SCRAPE, (i) => i)
  }
  const service = 'namespace="dogs",job="dog-walking"'
  for (const name of new Set(groups.flatMap(({ rules }) => rules.flatMap(({ record }) => record ?? [])))) {
    const [level] = name.split(':')
    await write(`# TYPE ${name} unknown\n`)
    for (const labels of level.startsWith('instance') ? pods.map((pod) => `${pod},${alias}`) : [service + (level.includes('route') ? `,${route}` : level.includes('alias') ? ',alias="default"' : '')]) {
      await series(name, labels, EVALUATION, () => 1)
    }
  }
  await write('# EOF\n')
  out.end()
  await once(out, 'finish')
}

/** One route was written; what reads series by route reads thirty times as much. */
function routesOf (expr) {
  return /http_|job_method_route:/.test(expr.replace(/\bjob:\w+/g, '')) ? ROUTES : 1
}

async function print (url) {
  const rows = []
  let [whole, rate] = [0, 0]
  for (const { name, interval = `${SCRAPE}s`, rules } of groups) {
    let samples = 0
    for (const { expr } of rules) {
      const query = new URLSearchParams({ query: expr, time: String(end), stats: 'all' })
      const { data, error } = await (await fetch(`${url}/api/v1/query`, { method: 'POST', body: query })).json()
      if (error !== undefined) throw new Error(`${expr}: ${error}`)
      samples += data.stats.samples.totalQueryableSamples * routesOf(expr)
    }
    whole += samples
    rate += samples / seconds(interval)
    rows.push([name, interval, samples, samples / seconds(interval)])
  }
  const digits = (number) => Math.round(number).toLocaleString('en')
  console.log('| group | every | samples an evaluation | samples a second |\n|---|---|---|---|')
  for (const [name, interval, samples, second] of rows) console.log(`| ${name} | ${interval} | ${digits(samples)} | ${digits(second)} |`)
  console.log(`| all | | ${digits(whole)} | ${digits(rate)} |`)
}

function seconds (interval) {
  const [, number, unit] = /^(\d+)(s|m)$/.exec(interval)
  return Number(number) * (unit === 'm' ? 60 : 1)
}
