import type { RouteShorthandOptions } from 'fastify'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { PLUGIN_ROUTE_OPTIONS, ROUTE_OPTIONS } from '../../src/endpoint/settings.js'
import { metricsPlugin, metricsServer, type EndpointOptions, type MetricsPluginOptions } from '../../src/index.js'

/** What the registration of an endpoint ends with: an error, or the page's status code. */
async function registered (options: object): Promise<unknown> {
  const app = Fastify()
  try {
    await app.register(metricsPlugin, { registry: new Registry(), runtime: false, ...options } as MetricsPluginOptions)
    await app.ready()
    return (await app.inject('/metrics')).statusCode
  } catch (error) {
    return error
  } finally {
    await app.close()
  }
}

t.test('every option of a Fastify route is let through, and what plugins read at its top', async (t) => {
  // A key that is missing shows here, for it is what the compiler expects.
  const missing: Exclude<keyof RouteShorthandOptions, typeof ROUTE_OPTIONS[number] | typeof PLUGIN_ROUTE_OPTIONS[number]> | 'none' = 'none'
  t.equal(missing, 'none')
  let seen: Record<string, unknown> = {}
  const endpoint = { ...Object.fromEntries(PLUGIN_ROUTE_OPTIONS.map((name) => [name, false])), bodyLimit: 5, handlerTimeout: 500, config: { rateLimit: false }, onRequest: [] }
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRoute', (route) => { seen = { ...route } })
  await app.register(metricsPlugin, { registry: new Registry(), endpoint: Object.freeze(endpoint) as EndpointOptions })
  t.match(seen, { ...endpoint, url: '/metrics', method: ['GET', 'HEAD'] })
  for (const name of ROUTE_OPTIONS) {
    const guards = ['onRequest', 'preParsing', 'preValidation', 'preHandler'].includes(name)
    if (guards) t.match(await registered({ endpoint: { [name]: undefined } }), { code: 'FP_ERR_INVALID_OPTION', message: /must be a hook, or left out; without it anybody may read the page/ }, name)
    else t.equal(await registered({ endpoint: { [name]: undefined } }), 200, name)
  }
})

t.test('what is neither ours nor of a route is refused, with how it is written here', async (t) => {
  const refused: Array<[option: string, ours: RegExp]> = [
    ['url', /'endpoint\.url' must be left out; write 'endpoint\.path' here/], ['route', /endpoint\.path/], ['uri', /endpoint\.path/], ['metricsPath', /endpoint\.path/],
    ['address', /endpoint\.host/], ['method', /GET and HEAD/], ['handler', /GET and HEAD/], ['enabled', /endpoint: false/], ['auth', /endpoint\.onRequest/],
    ['rateLimit', /endpoint\.config/], ['cors', /endpoint\.config/], ['hide', /endpoint\.schema/], ['tags', /endpoint\.schema/],
    ['paht', /'endpoint\.paht' must be one of path, maxScrapes, created, port, host, socket, counted, or an option of a Fastify route; .* 'endpoint\.config'/]
  ]
  for (const [option, message] of refused) t.match(await registered({ endpoint: { [option]: '/m' } }), { code: 'FP_ERR_INVALID_OPTION', message }, option)
  for (const [option, message] of [['url', /write 'path' here/], ['counted', /'counted' must be one of path/], ['endpoint', /write 'path' here/], ['labels', /must be one of/]] as const) {
    await t.rejects(metricsServer({ port: 0, registry: new Registry(), [option]: '/m' }), { code: 'FP_ERR_INVALID_OPTION', message }, option)
  }
  for (const options of [undefined, null, 9464, '9464', []]) {
    await t.rejects(metricsServer(options as never), { code: 'FP_ERR_INVALID_OPTION', message: "metricsServer options must be an object with a 'port' or a 'socket'" })
  }
})

t.test('options of other libraries are refused with ours', async (t) => {
  const table: Record<string, string> = {
    defaultMetrics: 'runtime',
    routeMetrics: 'excludeRoutes',
    name: 'fastify.metrics',
    clearRegisterOnInit: 'registry: new Registry()',
    promClient: "'registry'",
    register: "'registry'",
    metricsPath: "'endpoint'",
    includeMethod: 'always',
    includePath: 'always',
    customLabels: "'labels'",
    normalizePath: 'config: { metrics: { route } }',
    autoregister: 'endpoint: false',
    metricsApp: 'endpoint: { port }',
    promRegistry: "'registry'",
    bypass: "'excludeRoutes'",
    registers: "'registry'",
    gcDurationBuckets: 'collectDefaultMetrics',
    eventLoopMonitoringPrecision: 'collectDefaultMetrics',
    port: 'endpoint: { port, host }',
    host: 'endpoint: { port, host }',
    preventServerStart: 'endpoint: false',
    labelNames: "'labels'",
    excludeUrls: "'excludeRoutes'",
    whitelist: "'excludeRoutes'",
    blacklist: "'excludeRoutes'",
    path: "'endpoint'",
    onRequest: "'endpoint: { ... }'",
    metricType: 'nativeHistograms'
  }
  for (const [option, ours] of Object.entries(table)) {
    const error = await registered({ [option]: {} }) as Error
    t.match(error, { code: 'FP_ERR_INVALID_OPTION', message: `metricsPlugin option '${option}' must be left out; ` })
    t.ok(error.message.includes(ours), `${option}: ${error.message}`)
  }
})

t.test('null is no page by mistake; undefined and an empty object are the default', async (t) => {
  const message = "metricsPlugin option 'endpoint' must be a path, an object with Fastify's route options, or false for no page, got null"
  t.match(await registered({ endpoint: null }), { code: 'FP_ERR_INVALID_OPTION', message })
  for (const endpoint of [undefined, {}, { path: undefined }, Object.create(null), Object.freeze({ port: undefined }), Object.create({ path: '/metrics' })]) {
    t.equal(await registered({ endpoint }), 200)
  }
  t.equal(await registered({ endpoint: false }), 404)
  t.equal(await registered({ endpoint: Object.create({ path: '/inherited' }) }), 404)
  for (const name of ['registry', 'prefix', 'buckets', 'labels', 'excludeRoutes', 'metrics', 'runtime', 'maxSeries', 'nativeHistograms', 'exemplars']) {
    t.match(await registered({ [name]: null }), { code: 'FP_ERR_INVALID_OPTION', message: `metricsPlugin option '${name}' must be` })
  }
  for (const name of ['path', 'port', 'host', 'maxScrapes', 'created', 'counted']) {
    t.match(await registered({ endpoint: { [name]: null } }), { code: 'FP_ERR_INVALID_OPTION', message: `metricsPlugin option 'endpoint.${name}' must be` })
  }
})

t.test('an option whose getter throws is named', async (t) => {
  const broken = { get (): never { throw new Error('no value') }, enumerable: true }
  t.match(await registered(Object.defineProperty({}, 'x', { value: 1 })), 200)
  for (const [at, options] of [
    ['labels', { labels: Object.defineProperty({}, 'tenant', broken) }], ['metrics', { metrics: Object.defineProperty({}, 'http_exceptions_total', broken) }],
    ['buckets.duration', { buckets: Object.defineProperty({}, 'duration', broken) }], ['endpoint.path', { endpoint: Object.defineProperty({}, 'path', broken) }],
    ['endpoint.port', { endpoint: { port: Object.defineProperty({}, 'from', broken) } }], ['endpoint.onRequest', { endpoint: Object.defineProperty({}, 'onRequest', broken) }],
    ['registry', { registry: Object.defineProperty({}, 'contentType', broken) }], ['nativeHistograms.growthFactor', { nativeHistograms: Object.defineProperty({}, 'growthFactor', broken) }]
  ] as const) t.match(await registered(options), { code: 'FP_ERR_INVALID_OPTION', message: `metricsPlugin option '${at}' must be` }, at)
})
