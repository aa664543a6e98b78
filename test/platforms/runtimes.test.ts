import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { unpackPackage } from '../support/package-folder.js'
import { Page } from '../support/page.js'
import { startPostgres } from '../support/postgres.js'

const server = await startPostgres()
t.teardown(() => server.close())
/** An empty project with the tarball of what `npm run build` made in it. */
const folder = await unpackPackage(t)

/** A service with each kind of ending, asked by itself; it prints its page. */
const SERVICE = `
import Fastify from 'fastify'
import { createRequire } from 'node:module'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import pg from 'pg'
import { metricsPlugin } from 'fastify-prometheus'
import { instrumentPool } from 'fastify-prometheus/pg'

if (createRequire(import.meta.url)('fastify-prometheus').metricsPlugin !== metricsPlugin) throw new Error('two copies')
const app = Fastify()
const pool = new pg.Pool({ ...JSON.parse(process.env.DATABASE), max: 3 })
instrumentPool(pool, { alias: 'walks' })
await app.register(metricsPlugin, { metrics: { http_request_db_queries: true } })
let came
app.get('/walks', async () => (await pool.query('SELECT 1 AS walks')).rows)
app.get('/sync', (_request, reply) => { reply.code(201).send('ok') })
app.get('/broken', async () => { throw new RangeError('broken') })
app.get('/throws', () => { throw new TypeError('thrown') })
app.get('/flows', (_request, reply) => { reply.send(Readable.from(['a', 'b'])) })
app.get('/slow', async () => { came(); await new Promise(() => {}) })
app.post('/walks', async ({ body }) => body)
const url = await app.listen({ host: '127.0.0.1', port: 0 })
for (const path of ['/walks', '/sync', '/broken', '/throws', '/flows', '/nothing']) await (await fetch(url + path)).text()
for (const body of ['{"walk":1}', '{"wa']) await (await fetch(url + '/walks', { method: 'POST', body, headers: { 'content-type': 'application/json' } })).text()
const there = new Promise((resolve) => { came = resolve })
const leaving = request(url + '/slow').on('error', () => {}).end()
await there
leaving.destroy()
// Its end comes to the server when it comes.
let page
do { page = await (await fetch(url + '/metrics')).text() } while (/^http_requests_in_flight.* [1-9]/m.test(page))
process.stdout.write(page, () => process.exit())
`

/** Takes the tracing channels away from the service, or silences them. */
const SILENT = `
require('fastify')
// Node 24 makes a channel of its own when this is loaded.
require('node:child_process')
const channels = require('node:diagnostics_channel')
if (process.env.CHANNELS === 'missing') delete channels.tracingChannel
else channels.tracingChannel = () => ({ traceSync: (fn, _context, self, ...args) => fn.apply(self, args) })
`
await folder.write({ 'service.mjs': SERVICE, 'silent.cjs': SILENT })

const onPath = (name: string) => (process.env['PATH'] ?? '').split(delimiter).map((place) => join(place, name)).find((file) => existsSync(file))
/** What `npm install` brings for this system; the script of the package deno would copy it. */
const denos = fileURLToPath(new URL('../../node_modules/@deno', import.meta.url))
const deno = existsSync(denos) ? readdirSync(denos).map((system) => join(denos, system, 'deno')).find((file) => existsSync(file)) : undefined

/** What is not there is left out: Bun does not come with npm install. */
const RUNTIMES: Array<[name: string, program: string | undefined, args: string[], env: Record<string, string>]> = [
  ['Node', process.execPath, [], {}],
  ['a runtime without tracing channels', process.execPath, ['--require', './silent.cjs'], { CHANNELS: 'missing' }],
  ['a runtime with silent tracing channels', process.execPath, ['--require', './silent.cjs'], { CHANNELS: 'silent' }],
  ['Deno', deno, ['run', '--allow-all', '--node-modules-dir=manual'], {}],
  ['Bun', onPath('bun'), ['run'], {}]
]

for (const [name, program, args, env] of RUNTIMES) {
  t.test(`on ${name} requests, handlers, the page and a pool of pg are observed`, { skip: program === undefined && 'it is not installed' }, async (t) => {
    const page = new Page(await folder.output(program as string, [...args, 'service.mjs'], { DATABASE: JSON.stringify(server.config), ...env }))
    const asked: Array<[method: string, route: string, status: string]> = [
      ['GET', '/walks', '200'], ['GET', '/sync', '201'], ['GET', '/broken', '500'], ['GET', '/throws', '500'], ['GET', '/flows', '200'], ['GET', '__unmatched__', '404'],
      ['POST', '/walks', '200'], ['POST', '/walks', '400'], ['GET', '/slow', '499']
    ]
    for (const [method, route, status] of asked) t.equal(page.sum('http_request_duration_seconds_count', { method, route, status_code: status }), 1, `${method} ${route} ${status}`)
    t.equal(page.sum('http_request_duration_seconds_count'), asked.length)
    t.equal(page.sum('http_requests_received_total'), asked.length)
    t.equal(page.sum('http_requests_aborted_total'), 1)
    t.equal(page.sum('http_responses_incomplete_total'), 0)
    for (const route of ['/walks', '/sync', '/broken', '/throws', '/flows']) t.equal(page.sum('http_handler_duration_seconds_count', { method: 'GET', route }), 1, `the handler of ${route}`)
    for (const type of ['RangeError', 'TypeError']) t.equal(page.sum('http_exceptions_total', { type }), 1)
    t.equal(page.sum('http_request_db_queries_sum', { route: '/walks' }), 1)
    t.equal(page.sum('db_query_duration_seconds_count', { alias: 'walks', operation: 'select' }), 1)
    t.equal(page.sum('db_pool_connections_max', { alias: 'walks' }), 3)
    t.ok(page.sum('process_cpu_user_seconds_total') >= 0)
    t.equal(page.sum('metrics_instrumentation_errors_total'), 0)
  })
}
