import { mkdir, writeFile } from 'node:fs/promises'
import t from 'tap'
import { parse } from 'yaml'
import { everyBlockIsTaken, guide } from '../support/guide.js'
import { PROCESSES_VARIABLE } from '../../src/processes/settings.js'
import { decoded } from '../support/decoded.js'
import { readOpenMetrics2, type ReadHistogram } from '../support/openmetrics-2.js'
import { unpackPackage } from '../support/package-folder.js'

/*
 * The pages that README links to for its options, the page of metrics, exemplars, native histograms and instruments: their code runs in an empty project against the
 * packed tarball.
 */
const folder = await unpackPackage(t)
const APPLICATION = "import Fastify from 'fastify'\nimport { metricsPlugin } from 'fastify-prometheus'\nconst fastify = Fastify()\n"

/** Runs a page's code in an application, and gives what `then` prints. */
async function run (code: string, then: string, before = ''): Promise<string> {
  return await folder.node('page.mjs', `${before}${APPLICATION}${code}\n${then}\nprocess.exit()\n`)
}

t.test('options: a registry of its own, a route label, and a file for a loader', async (t) => {
  const page = guide('options')
  const own = page.code('js', 'new Registry()')
  const printed = await run(own.replace(/^import .*$/m, ''), `fastify.get('/', async () => 'ok')
await fastify.inject('/')
const { register } = await import('prom-client')
console.log(register.getMetricsAsArray().length, (await fastify.metrics.render()).includes('http_requests_received_total{'))`, "import { Registry } from 'prom-client'\n")
  t.equal(printed, '0 true\n')

  const routed = await run(page.code('js', 'request.url'), `await fastify.ready()
for (const url of ['/up/walks/1', '/up/dogs', '/up/cats']) await fastify.inject(url)
console.log(await fastify.metrics.render())`)
  for (const [label, count] of [['/up/walks', 1], ['/up/dogs', 1], ['__unmatched__', 1]] as const) t.match(routed, `http_requests_received_total{method="GET",route="${label}",scheme="http"} ${count}\n`)

  await mkdir(folder.join('plugins'))
  await writeFile(folder.join('plugins/metrics.js'), page.code('js', 'autoConfig'))
  const loaded = await run("fastify.register(autoLoad, { dir: new URL('plugins', import.meta.url).pathname })", `const { statusCode, headers } = await fastify.inject('/internal/metrics')
console.log(statusCode, headers['content-type'])`, "import autoLoad from '@fastify/autoload'\n")
  t.equal(loaded, '200 text/plain; version=0.0.4; charset=utf-8\n')
})

t.test('options: metrics of the process, one by one, and which build runs', async (t) => {
  const log = "import { createWriteStream } from 'node:fs'\nimport Fast from 'fastify'\nimport { metricsPlugin } from 'fastify-prometheus'\n"
  const printed = await folder.output(process.execPath, ['--input-type=module', '-e', `${log}const fastify = Fast({ logger: { stream: createWriteStream('/dev/null') } })
${guide('options').code('js', 'log_messages_total')}
await fastify.ready()
fastify.log.child({ walk: 7 }).warn('rain')
console.log(await fastify.metrics.render())
process.exit()
`], { GIT_COMMIT: 'a1b2c3d' })
  t.match(printed, /^log_messages_total\{level="warn"\} 1$/m)
  t.match(printed, /^nodejs_eventloop_time_seconds_total\{state="active"\} \d/m)
  t.match(printed, /^app_build_info\{version="[^"]*",commit="a1b2c3d"\} 1$/m)
  t.notMatch(printed, 'nodejs_gc_duration_seconds')
})

t.test('the page: a password, a token, and a server without an application', async (t) => {
  const page = guide('page')
  const statuses = (header: string) => `for (const authorization of [undefined, ${header}]) {
  const headers = authorization === undefined ? {} : { authorization }
  console.log((await fastify.inject({ url: '/metrics', headers })).statusCode)
}`
  t.equal(await run(`const validate = async (name, password) => { if (name !== 'prometheus' || password !== 'secret') throw new Error('no') }\n${page.code('js', 'basicAuth')}`,
    statuses("'Basic ' + btoa('prometheus:secret')"), "import basicAuth from '@fastify/basic-auth'\n"), '401\n200\n')
  t.equal(await run(`process.env.METRICS_TOKEN = 'secret'\n${page.code('js', 'bearerAuth')}`, statuses("'Bearer secret'"), "import bearerAuth from '@fastify/bearer-auth'\n"), '401\n200\n')
  const served = await folder.node('server.mjs', `${page.code('js', 'metricsServer').replace("'0.0.0.0'", "'127.0.0.1'").replace('{ from: 9464, to: 9474 }', '0')}
const page = await (await fetch(server.url)).text()
console.log(page.includes('metrics_expositions_total'))
await server.close()`)
  t.match(served, /^http:\/\/127\.0\.0\.1:\d+\/metrics\ntrue\n$/)
})

t.test('the page: on a Unix socket, for curl and for Prometheus', async (t) => {
  const page = guide('page')
  const { path } = folder
  const code = page.code('js', 'socket:').replace('/run/walks', path)
  const curl = page.code('sh', '--unix-socket').replace('/run/walks', path).replace('curl', 'curl --silent')
  const printed = await run(`import { execSync, exec } from 'node:child_process'\nimport { promisify } from 'node:util'\n${code}`, `await fastify.ready()
console.log((await promisify(exec)(${JSON.stringify(curl)})).stdout)
await fastify.close()`)
  t.match(printed, /^http_requests_received_total|^process_cpu_seconds_total /m)
  const { scrape_configs: [job] } = parse(page.code('yaml', '__unix_socket__')) as { scrape_configs: Array<{ static_configs: Array<{ targets: string[], labels: Record<string, string> }> }> }
  t.same(job?.static_configs.map(({ targets, labels }) => [targets, labels['__unix_socket__']]), [0, 1].map((n) => [['localhost'], code.match(/'(.*)'/)?.[1]?.replace(path, '/run/walks').replace('{n}', String(n))]))
})

t.test('several processes: in the plugin, without a page, and on a port of the process that forks', async (t) => {
  const page = guide('processes')
  const env = `process.env.TMPDIR = ${JSON.stringify(folder.path)}\n`
  t.match(await run(page.code('js', 'register(metricsPlugin'), "console.log((await fastify.inject('/metrics')).body)\nawait fastify.close()", env), 'metrics_processes{state="live"} 1')
  const dir = folder.join('m')
  await writeFile(folder.join('worker.mjs'), `${page.code('js', 'contributeMetrics').replace('/run/walks/metrics', dir)}
import { Counter } from 'prom-client'
new Counter({ name: 'walks_total', help: 'Walks.' }).inc(7)
await close()
process.exit()`)
  const printed = await folder.node('page.mjs', `import { execFileSync } from 'node:child_process'
execFileSync(process.execPath, ['worker.mjs'])
${APPLICATION}fastify.register(metricsPlugin, { processes: { dir: ${JSON.stringify(dir)} } })
console.log((await fastify.inject('/metrics')).body)
await fastify.close()`)
  t.match(printed, '\nwalks_total 7\n')
  t.match(printed, 'metrics_processes{state="ended"} 1')

  const unit = page.code('ini', '[Service]')
  t.match(unit, `Environment=${PROCESSES_VARIABLE}=/run/${/RuntimeDirectory=(.*)/.exec(unit)?.[1]}/`)

  const forking = page.code('js', 'isPrimary').replace('port: 9464', 'port: 0').replace('await metricsServer', 'const server = await metricsServer')
  const forked = await folder.node('fork.mjs', `${env}${forking.replace(/}\n$/, `  await new Promise((resolve) => { let up = 0; cluster.on('message', () => { if (++up === 4) resolve() }) })
  console.log(await (await fetch(server.url)).text())
  process.exit()
} else {
  const { contributeMetrics } = await import('fastify-prometheus')
  const { Counter } = await import('prom-client')
  new Counter({ name: 'walks_total', help: 'Walks.' }).inc(2)
  await contributeMetrics()
  process.send('up')
}
`)}`)
  t.match(forked, '\nwalks_total 8\n')
  t.match(forked, 'metrics_processes{state="live"} 5')
})

t.test('exemplars: what a function says is on the page', async (t) => {
  const page = await run(guide('exemplars').code('js', 'request_id'), `fastify.get('/', async () => 'ok')
await fastify.inject('/')
console.log((await fastify.inject({ url: '/metrics', headers: { accept: 'application/openmetrics-text' } })).body)`)
  t.match(page, /^http_request_duration_seconds_bucket\{.*\} 1 # \{request_id="req-1"\} /m)
})

t.test('native histograms: on the page in protobuf and OpenMetrics 2.0, and of your own', async (t) => {
  const page = guide('native-histograms')
  const encoded = async (accept: string) => Buffer.from(await run(page.code('js', 'nativeHistograms: true'), `fastify.get('/', async () => 'ok')
await fastify.inject('/')
console.log((await fastify.inject({ url: '/metrics', headers: { accept: '${accept}' } })).rawPayload.toString('base64'))`), 'base64')
  const histogram = decoded(await encoded('application/vnd.google.protobuf')).find(({ name }) => name === 'http_request_duration_seconds')?.metric[0]?.histogram
  t.match(histogram, { schema: 3, positiveDelta: ['1'] })
  t.equal(histogram?.bucket?.length, 15, 'with the classic buckets beside')
  const found = readOpenMetrics2(await encoded('application/openmetrics-text;version=2.0.0')).find(({ name }) => name === 'http_request_duration_seconds')
  t.match(found?.samples[0]?.value, { count: 1, native: { schema: 3 } })

  const own = await folder.node('own.mjs', `${page.code('js', 'walk_distance_meters')}
import Fastify from 'fastify'
import { metricsPlugin } from 'fastify-prometheus'
const fastify = Fastify()
fastify.register(metricsPlugin)
console.log((await fastify.inject({ url: '/metrics?name[]=walk_distance_meters', headers: { accept: 'application/openmetrics-text;version=2.0.0' } })).body)
process.exit()`)
  const value = readOpenMetrics2(Buffer.from(own.trim()))[0]?.samples[0]?.value as ReadHistogram
  t.match(value, { count: 1, sum: 1200, buckets: undefined, native: { schema: 4 } })

  const { scrape_configs: [job] } = parse(page.code('yaml', 'scrape_native_histograms')) as { scrape_configs: Array<Record<string, unknown>> }
  t.match(job, { scrape_native_histograms: true, always_scrape_classic_histograms: true })
})

t.test('instruments: a bound child counts', async (t) => {
  const counter = guide('instruments').code('js', 'walks_by_size')
  t.match(await folder.node('counter.mjs', `${counter}\nimport { register } from 'prom-client'\nconsole.log(await register.metrics())`), 'walks_by_size{size="xl"} 1')
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['options', 'page', 'processes', 'exemplars', 'native-histograms', 'instruments', 'metrics', 'costs', 'comparison'])
  t.end()
})
