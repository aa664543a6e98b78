import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import { Gauge, Registry } from 'prom-client'
import t from 'tap'
import { metricsPlugin } from '../../src/index.js'
import { buildDemo } from '../support/demo.js'
import { everyBlockIsTaken, guide } from '../support/guide.js'
import { unpackPackage } from '../support/package-folder.js'
import { Page } from '../support/page.js'
import { freePort } from '../support/postgres.js'
import { promtool } from '../support/promtool.js'
import { rules, rulesFolder } from '../support/rules.js'

/*
 * What docs/migrating.md and docs/django-prometheus.md say that is different here is different here, and the rest is not.
 */
const root = fileURLToPath(new URL('../..', import.meta.url))
await buildDemo()
const folder = await unpackPackage(t)

/** Code that asks an application what was asked of both, prints a page of metrics, and closes it. */
const ASK = (...pages: string[]) => `
import { connect } from 'node:net'
import { once } from 'node:events'
const url = await fastify.listen({ port: 0, host: '127.0.0.1' })
const ask = async (path, options) => (await fetch(url + path, options)).text()
await ask('/walks/7')
await ask('/walks/8')
await ask('/walks/7', { method: 'HEAD' })
await ask('/nowhere')
await fastify.asked?.(ask)
const socket = connect(new URL(url).port, '127.0.0.1')
socket.write('GET /slow HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
await once(fastify.server, 'slow')
socket.destroy()
await once(fastify.server, 'left')
for (const page of ${JSON.stringify(pages)}) {
  await ask(page)
  console.log('#page ' + page + '\\n' + await ask(page))
}
await fastify.close()
process.exit()
`
/** The routes it asks for that the page has not. */
const ROUTES = (app: string) => `
  ${app}.get('/slow', async (request, reply) => {
    fastify.server.emit('slow')
    await new Promise((resolve) => reply.raw.once('close', resolve))
    setImmediate(() => fastify.server.emit('left'))
    return 'late'
  })`

function pagesIn (printed: string): Page[] {
  return printed.split(/^#page .*\n/m).slice(1).map((text) => new Page(text))
}

t.test('migrating: both in one application count what the table says', async (t) => {
  const page = guide('migrating')
  const code = page.code('js', "name: 'oldMetrics'")
  const routes = `
fastify.get('/early', async () => 'x')
fastify.register(async (routes) => {${ROUTES('routes')}
  routes.options('/walks/:id', async () => 'x')
  routes.post('/walks', async () => 'x')
})
fastify.decorate('asked', async (ask) => {
  await ask('/early')
  await ask('/walks/7', { method: 'OPTIONS' })
  await ask('/walks', { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } })
})`
  const [ours, old] = pagesIn(await folder.node('both.mjs', `${code}${routes}${ASK('/metrics', '/old-metrics')}`)) as [Page, Page]
  const has = (page: Page, labels: Record<string, string>) => page.sum('http_request_duration_seconds_count', labels) > 0
  const asked: Record<string, Record<string, string>> = {
    'to a route registered after the plugin': { method: 'GET', route: '/walks/:id', status_code: '200' },
    'to a route registered before it': { route: '/early' },
    'HEAD, OPTIONS': { method: 'HEAD' },
    'that no route matched': { status_code: '404' },
    'whose client left first': { route: '/slow' },
    'to the metrics page': {},
    'with a malformed JSON body': { method: 'POST', status_code: '400' }
  }
  const rows = page.table('a request', 'fastify-metrics 14', 'here')
  t.same(rows.map(([request = '']) => Object.keys(asked).find((name) => request.startsWith(name))), Object.keys(asked))
  for (const [i, [name = '', labels]] of Object.entries(Object.entries(asked)) as unknown as Array<[number, [string, Record<string, string>]]>) {
    const [, theirs = '', here = ''] = rows[i] ?? []
    const own = name === 'to the metrics page'
    t.equal(has(old, own ? { route: '/old-metrics' } : labels), theirs.startsWith('yes'), `${name}, fastify-metrics: ${theirs}`)
    t.equal(has(ours, own ? { route: '/metrics' } : labels), here.startsWith('yes'), `${name}, here: ${here}`)
  }
  t.equal(ours.sum('http_request_duration_seconds_count', { route: '/slow', status_code: '499' }), 1)
  t.ok(has(ours, { method: 'OPTIONS' }) && !has(old, { method: 'OPTIONS' }))

  const labels = { method: 'GET', route: '/walks/:id', status_code: '200' }
  t.equal(ours.sum('http_request_duration_seconds_count', labels), old.sum('http_request_duration_seconds_count', labels))
  t.same(Object.keys(ours.of('http_request_duration_seconds_count', labels)[0]?.labels ?? {}).sort(), Object.keys(old.of('http_request_duration_seconds_count', labels)[0]?.labels ?? {}).sort())
  t.equal(old.sum('http_request_summary_seconds_count', labels), 2)
  t.ok(old.of('http_request_summary_seconds', { quantile: '0.99' }).length > 0)
  const bounds = (page: Page) => page.values('http_request_duration_seconds_bucket', 'le')
  t.same(bounds(ours).map(Number).filter((le) => !bounds(old).map(Number).includes(le)).sort(), [0.075, 0.75, 7.5])
  t.same(bounds(old).map(Number).filter((le) => !bounds(ours).map(Number).includes(le)), [])
  t.ok(bounds(ours).includes('1.0') && bounds(old).includes('1'))
  const runtime = (page: Page) => [...page.text.matchAll(/^# TYPE ((?:process|nodejs)_\w+)/gm)].map(([, name]) => name).sort()
  t.same(runtime(ours).filter((name) => name !== 'nodejs_eventloop_time_seconds_total'), runtime(old), 'the same default metrics, and one more')

  const types = readFileSync(join(root, 'node_modules/fastify-metrics/dist/types.d.ts'), 'utf8')
  const words = page.table('fastify-metrics 14', 'here').flatMap(([theirs = '']) => [...theirs.matchAll(/\b[a-z]+[A-Z]\w*/g)].map(([word]) => word))
  t.ok(words.length > 15, `${words.length} options`)
  for (const word of words) t.match(types, new RegExp(`\\b${word}\\b`), `fastify-metrics has ${word}`)
})

t.test('migrating: the options it names are taken, and one registry for both is refused', async (t) => {
  const { register } = await import('@prometheus-io/client')
  const made = guide('migrating').code('js', '@prometheus-io/client')
  const printed = await folder.node('registry.mjs', `${made}\nconst { Counter } = await import('@prometheus-io/client')\nnew Counter({ name: 'theirs_total', help: 'x' }).inc()
await fastify.ready()\nconsole.log((await fastify.inject('/metrics')).body)\nprocess.exit()`)
  t.match(printed, 'theirs_total 1')
  t.ok(register !== undefined)
  const app = Fastify()
  app.register(metricsPlugin, { registry: new Registry(), endpoint: false, runtime: false, excludeRoutes: ['__unmatched__'], labels: { a: () => 'b' }, buckets: { duration: [1] }, prefix: 'x_', metrics: { http_exceptions_total: false } })
  app.get('/a', { config: { metrics: { route: 'x' } } }, async () => 'a')
  app.get('/b', { config: { metrics: false } }, async () => 'b')
  for (const url of ['/a', '/b', '/c']) await app.inject(url)
  const page = new Page(await app.metrics.render())
  t.same(page.values('x_http_request_duration_seconds_count', 'route'), ['x'])
  await app.close()
  const taken = new Registry()
  new Gauge({ name: 'http_request_duration_seconds', help: 'x', registers: [taken] }).set(1)
  await t.rejects(async () => { await Fastify().register(metricsPlugin, { registry: taken }) }, { code: 'FP_ERR_METRIC_CONFLICT' })
})

t.test('migrating: code of their own before and after', async (t) => {
  const page = guide('migrating')
  const slow = `\nfastify.after(() => {${ROUTES('fastify')}\n})\n`
  const [before] = pagesIn(await folder.node('before.mjs', `${page.code('js', 'request.stopTimer')}${slow}${ASK('/metrics')}`)) as [Page]
  const [after] = pagesIn(await folder.node('after.mjs', `${page.code('js', "import { Counter } from 'prom-client'\n\nconst walks =")}${slow}${ASK('/metrics')}`)) as [Page]
  const count = (page: Page, labels: Record<string, string>) => page.sum('http_request_duration_seconds_count', labels)
  for (const labels of [{ route: '/walks/:id', method: 'GET', status_code: '200' }, { route: '/walks/:id', method: 'HEAD' }, { status_code: '404' }]) t.equal(count(after, labels), count(before, labels), JSON.stringify(labels))
  t.equal(count(before, { route: '/walks/:id', method: 'GET' }), 2)
  t.equal(count(before, { route: '/slow' }), 0, 'an onResponse hook does not run for a client that left')
  t.equal(count(after, { route: '/slow', status_code: '499' }), 1)
  t.equal(after.sum('walks_started'), before.sum('walks_started'))
  t.ok(before.values('http_request_duration_seconds_bucket', 'le').includes('1') && after.values('http_request_duration_seconds_bucket', 'le').includes('1.0'))
  t.ok(after.of('nodejs_eventloop_lag_p99_seconds').length === 1 && before.of('nodejs_eventloop_lag_p99_seconds').length === 1)
})

t.test('django-prometheus: every family once, and what can be derived is what the rules record', async (t) => {
  const page = guide('django-prometheus')
  const fixture = readFileSync(join(root, 'test/ops/fixtures/django-prometheus-2.5.0.prom'), 'utf8')
  const families = [...fixture.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name as string).sort()
  const rows = page.table('django-prometheus', 'here', 'differences')
  const named = rows.map(([name = '']) => name.replaceAll('`', ''))
  t.same([...named].sort(), families)
  const recorded = new Set(rules.flatMap(({ record }) => record?.startsWith('django_') ? [record.replace(/_(bucket|sum|count)$/, '')] : []))
  t.same([...recorded].filter((name) => !named.includes(name)), [], 'the table has every name that the rules record')
  const header = readFileSync(join(rulesFolder, 'django-compat.rules.yml'), 'utf8').split('groups:')[0] ?? ''
  const missing = [...header.slice(header.indexOf('Not here')).matchAll(/^# {3}(django_[\w, ]+)/gm)].flatMap(([, names = '']) => names.match(/django_\w+/g) ?? [])
  t.equal(missing.length, 1)
  for (const [name = '', here] of rows) {
    const plain = name.replaceAll('`', '')
    const derivable = recorded.has(plain)
    t.equal(missing.includes(plain), !derivable, `${plain} is recorded, or named in the header as not derivable`)
    if (here === 'none') t.ok(!derivable || plain.includes('unknown_latency'), plain)
    else t.ok(derivable, plain)
  }
  await folder.shell(page.code('sh', 'django-compat'))
  await writeFile(folder.join('django.yml'), page.code('yaml', 'django-compat'))
  t.equal(promtool(t, ['check', 'config', folder.join('django.yml')])?.status, 0)

  const port = await freePort()
  const code = page.code('js', "prefix: 'shop_'").replace('8001', String(port)).replace('8049', '65535')
  const printed = await folder.node('django.mjs', `${code.replace('await fastify.ready()', "fastify.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send('x'))\nawait fastify.ready()")}
await fastify.inject({ url: '/', headers: { 'x-requested-with': 'XMLHttpRequest' } })
console.log(await (await fetch(fastify.metrics.server.url)).text())
await fastify.close()
process.exit()
`)
  t.match(printed, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/m)
  for (const series of ['shop_http_requests_ajax_total{method="GET",route="/"} 1', 'shop_http_responses_charset_total{charset="utf-8"} 1', 'le="75.0"', 'shop_process_cpu_seconds_total']) t.match(printed, series)
})

t.test('django-prometheus: the routes of an admin keep its name', async (t) => {
  const found = new Page(await folder.node('admin.mjs', `import Fastify from 'fastify'
import { metricsPlugin } from 'fastify-prometheus'
const fastify = Fastify()
fastify.register(metricsPlugin)
${guide('django-prometheus').code('js', 'onRoute')}
fastify.register(async (admin) => {
  admin.get('/', async () => 'admin')
  admin.get('/resources/:resourceId', { config: { other: true } }, async ({ routeOptions }) => routeOptions.config.other)
}, { prefix: '/admin' })
fastify.get('/walks', async () => 'walks')
for (const url of ['/admin', '/admin/resources/dogs', '/walks']) if ((await fastify.inject(url)).statusCode !== 200) throw new Error(url)
console.log(await fastify.metrics.render())
process.exit()
`))
  t.same(found.values('http_requests_received_total', 'route').sort(), ['/walks', 'admin:/admin', 'admin:/admin/resources/:resourceId'])
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['migrating', 'django-prometheus'])
  t.end()
})
