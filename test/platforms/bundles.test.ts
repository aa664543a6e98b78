import * as commonjsPlugin from '@rollup/plugin-commonjs'
import type { RollupCommonJSOptions } from '@rollup/plugin-commonjs'
import { nodeResolve } from '@rollup/plugin-node-resolve'
import { build, transform, type BuildOptions } from 'esbuild'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rollup, type Plugin } from 'rollup'
import t from 'tap'
import { unpackPackage } from '../support/package-folder.js'
import { Page } from '../support/page.js'
import { startPostgres } from '../support/postgres.js'
import { temporaryFolder } from '../support/temporary-folder.js'

/** Its types say that the module itself is the function. */
const commonjs = commonjsPlugin.default as unknown as (options: RollupCommonJSOptions) => Plugin
const ncc = fileURLToPath(new URL('../../node_modules/@vercel/ncc/dist/ncc/cli.js', import.meta.url))
const server = await startPostgres()
t.teardown(() => server.close())
/** An empty project with the tarball of what `npm run build` made in it. */
const folder = await unpackPackage(t)

/**
 * A service that is in a span of a real SDK, asks a database, and prints what a scraper gets, and the trace it was in.
 */
const SERVICE = `
import { metricsPlugin, MetricsError } from 'fastify-prometheus'
import { instrumentPool } from 'fastify-prometheus/pg'
import { assertSeries } from 'fastify-prometheus/testing'
import { modelOpsSubscriber } from 'fastify-prometheus/typeorm'
import { trace } from '@opentelemetry/api'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import Fastify from 'fastify'
import pg from 'pg'
import { register } from 'prom-client'

async function main () {
  const app = Fastify()
  const pool = new pg.Pool({ ...JSON.parse(process.env.DATABASE), max: 3 })
  const undo = instrumentPool(pool, { alias: 'walks' })
  await app.register(metricsPlugin, { live: true, metrics: { http_request_db_queries: true } })
  app.get('/walks', async () => (await pool.query('SELECT 1 AS walks')).rows)
  app.get('/broken', async () => { throw new RangeError('broken') })
  new NodeTracerProvider().register()
  let trace_id = ''
  const emit = app.server.emit
  app.server.emit = function (event, ...args) {
    if (event !== 'request') return emit.call(this, event, ...args)
    return trace.getTracer('walks').startActiveSpan('walks', { root: true }, (span) => {
      if (args[0].url === '/walks') trace_id = span.spanContext().traceId
      return emit.call(this, event, ...args)
    })
  }
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const walks = await (await fetch(url + '/walks')).json()
  await fetch(url + '/broken')
  const page = await (await fetch(url + '/metrics', { headers: { accept: 'application/openmetrics-text; version=1.0.0' } })).text()
  const live = await (await fetch(url + '/metrics/live/page.js')).text()
  await assertSeries(register, 'http_requests_received_total', { method: 'GET', route: '/walks', scheme: 'http' }, 1)
  let refused
  try { modelOpsSubscriber(5) } catch (error) { refused = error instanceof MetricsError }
  await app.close()
  undo()
  await pool.end()
  process.stdout.write(JSON.stringify({ walks, trace_id, refused, page, live }))
}
main()
`

/**
 * Pino makes its worker from files of its own, only where transports are asked for; these are what else a bundle of
 * Fastify itself needs.
 */
const REQUIRE = "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);"
const quiet = { logLevel: 'silent' as const }
const esbuild = (options: BuildOptions) => async (to: string) => {
  await build({ entryPoints: [folder.join('service.mjs')], bundle: true, platform: 'node', target: 'node20', outfile: to, ...quiet, ...options })
}

/** Fastify and pg load JSON, and pg asks for pg-native, which is not there. */
const json: Plugin = { name: 'json', transform: (code, id) => id.endsWith('.json') ? { code: `export default ${code}`, map: null } : null }

/** One bundle, which is written in each format. */
const rolledUp = async () => await rollup({
  input: folder.join('service.mjs'),
  external: ['pg-native'],
  onLog: () => {},
  plugins: [nodeResolve({ preferBuiltins: true, exportConditions: ['node'] }), json, commonjs({ ignoreDynamicRequires: true })]
})
let bundle: ReturnType<typeof rolledUp> | undefined
t.teardown(async () => { await (await bundle)?.close() })

const rolled = (format: 'es' | 'cjs') => async (to: string) => {
  await (await (bundle ??= rolledUp())).write({ file: to, format, inlineDynamicImports: true, ...format === 'es' && { banner: REQUIRE } })
}

/** @param type what package.json says, for ncc writes what that wants */
const nccBundle = (type: 'module' | 'commonjs') => async (to: string) => {
  const project = `ncc-${type}`
  await folder.write({
    [`${project}/package.json`]: JSON.stringify({ type }),
    [`${project}/service.js`]: type === 'module' ? SERVICE : (await transform(SERVICE, { format: 'cjs' })).code
  })
  await folder.output(process.execPath, [ncc, 'build', `${project}/service.js`, '--out', dirname(to), '--no-cache', '--quiet'])
}

await folder.write({ 'service.mjs': SERVICE })

const BUNDLERS: Array<[name: string, file: string, make: (to: string) => Promise<void>]> = [
  ['esbuild, an ES module', 'index.mjs', esbuild({ format: 'esm', banner: { js: REQUIRE } })],
  ['esbuild, an ES module, minified', 'index.mjs', esbuild({ format: 'esm', banner: { js: REQUIRE }, minify: true, keepNames: true })],
  ['esbuild, CommonJS', 'index.cjs', esbuild({ format: 'cjs' })],
  ['rollup, an ES module', 'index.mjs', rolled('es')],
  ['rollup, CommonJS', 'index.cjs', rolled('cjs')],
  ['ncc, an ES module', 'index.js', nccBundle('module')],
  ['ncc, CommonJS', 'index.js', nccBundle('commonjs')]
]

for (const [name, file, make] of BUNDLERS) {
  t.test(`a service bundled by ${name} runs alone in an empty folder: requests, page, live page, exemplars and a pool`, async (t) => {
    const empty = await temporaryFolder(t, 'bundle')
    await make(join(empty, file))
    t.notOk((await readdir(empty)).includes('node_modules'))
    const said = await folder.output(process.execPath, [join(empty, file)], { DATABASE: JSON.stringify(server.config) })
    const { walks, trace_id: trace, refused, page: text, live } = JSON.parse(said) as { walks: unknown, trace_id: string, refused: boolean, page: string, live: string }
    t.same(walks, [{ walks: 1 }])
    t.match(live, 'EventSource', 'the script of the live page is in the bundle')
    t.equal(refused, true, 'an error is of the class that is imported')
    const page = new Page(text.replace(/ # \{.*$/gm, ''))
    t.equal(page.sum('http_request_duration_seconds_count', { route: '/walks', status_code: '200' }), 1)
    t.equal(page.sum('http_handler_duration_seconds_count', { route: '/walks' }), 1)
    t.equal(page.sum('http_exceptions_total', { type: 'RangeError' }), 1)
    t.equal(page.sum('http_request_db_queries_sum', { route: '/walks' }), 1, 'the adapter and the plugin are of one copy')
    t.equal(page.sum('db_query_duration_seconds_count', { alias: 'walks', operation: 'select' }), 1)
    t.equal(page.sum('db_pool_connections_max', { alias: 'walks' }), 3)
    t.ok(page.sum('process_cpu_user_seconds_total') >= 0)
    for (const metric of ['http_request_duration_seconds', 'db_query_duration_seconds']) {
      t.match(text, new RegExp(`^${metric}_bucket\\{[^}]*\\} \\d+ # \\{trace_id="${trace}"`, 'm'), `${metric} names the trace`)
    }
  })
}
