import type { FastifyBaseLogger, FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { serveLive } from './endpoint/live-route.js'
import { serveMetrics } from './endpoint/route.js'
import { observedExposition } from './endpoint/scrapes.js'
import { listen, type MetricsServer } from './endpoint/server.js'
import { FORMATS } from './exposition/index.js'
import { Live } from './live/index.js'
import { instrumentHttp } from './http/instrument.js'
import { Trouble } from './instrumentation/index.js'
import { onCap, type RegistryLike } from './metrics/index.js'
import { readOptions, type MetricsPluginOptions } from './options.js'
import { Observers } from './runtime/observers.js'
import { observeRuntime } from './runtime/runtime.js'
import { Clearing, ClearingOfAll } from './tenancy/clearing.js'
import { beginTenancy } from './tenancy/tenants.js'
import { showName } from './validation/errors.js'
import { isAutoloaded } from './validation/loaders.js'

/** The decorator `fastify.metrics`. */
export interface FastifyMetrics {
  /** The registry of the metrics, where you may put your own too; the first registry if there are several. */
  readonly registry: RegistryLike
  /** The content type of the page that render() gives. */
  readonly contentType: string
  /** The server of the endpoint's own port or socket, once the application is ready; undefined if it has neither. */
  readonly server: MetricsServer | undefined
  /** The page in the text format. */
  render (): Promise<string>
}

declare module 'fastify' {
  interface FastifyInstance {
    metrics: FastifyMetrics
  }
}

const NAME = 'fastify-prometheus'
/** Marks our decorator: another plugin may have put one under the same name, which Fastify refuses to replace. */
const OURS = Symbol.for('fastify-prometheus.metrics')

async function metrics (fastify: FastifyInstance, options: MetricsPluginOptions): Promise<void> {
  const { left, scope, registries, http, metrics, endpoint, live: looked, exposition: exposed, runtime, build, observe, processes: together } = readOptions(options, () => isAutoloaded(fastify, NAME))
  // A logger with levels of the user's own may lack these methods.
  const log: Partial<FastifyBaseLogger> = fastify.log
  if (left.length > 0) log.warn?.(`fastify-prometheus leaves out options that it does not have, as a loader may add some: ${left.map(showName).join(', ')}`)
  if (fastify.hasDecorator('metrics') && OURS in fastify.metrics) {
    log.warn?.('fastify-prometheus is registered already; its first registration counts and this one does nothing')
    return
  }

  const { registry, prefix } = scope
  const trouble = new Trouble(scope, (message, err) => log.warn?.({ err }, message), metrics.metrics_instrumentation_errors_total !== false)
  const tenancy = beginTenancy(registry, prefix, fastify.server)
  if (tenancy.isShared) {
    log.warn?.("another open application of this process writes to the same registry, so the numbers of both are added up; give each its own with the option 'registry: new Registry()', of prom-client")
  }
  const clearing = new ClearingOfAll(registries)
  const endClearing = clearing.begin(prefix)
  const stopTelling = onCap({ registries, tell: (message) => log.warn?.(message) })
  const observers = new Observers(fastify, { ...scope, exemplars: http.exemplars === false ? false : undefined }, observe, trouble)
  let endRuntime = (): void => {}
  fastify.addHook('onClose', async () => {
    observers.end()
    endRuntime()
    tenancy.end()
    endClearing()
    stopTelling()
  })
  const observed = observedExposition(scope, registries, exposed, metrics, trouble, together)
  const exposition = clearing.mended(observed.exposition)
  let server: MetricsServer | undefined
  const decorator: FastifyMetrics & { [OURS]: true } = {
    [OURS]: true,
    registry,
    contentType: FORMATS.text,
    get server () { return server },
    render: () => exposition.text()
  }
  fastify.decorate('metrics', decorator)

  instrumentHttp(fastify, scope, http, trouble)
  observers.begin()
  fastify.addHook('onReady', async () => { observers.ready() })
  const { processes } = observed
  if (processes !== undefined) {
    fastify.addHook('onReady', () => processes.begin())
    fastify.addHook('onClose', () => processes.retire())
  }
  const live = looked && new Live(exposition, prefix, processes !== undefined)
  if (live !== undefined) {
    fastify.addHook('onReady', async () => { live.begin() })
    fastify.addHook('onClose', async () => { live.end() })
  }
  const serve = (on: FastifyInstance, isOwn: boolean) => {
    if (endpoint !== undefined) serveMetrics(on, { ...endpoint, counted: isOwn || endpoint.counted }, exposition)
    if (live !== undefined && looked !== undefined) serveLive(on, { ...looked, counted: isOwn || looked.counted }, live)
  }
  if (endpoint?.own !== undefined) {
    const { own, path } = endpoint
    fastify.addHook('onReady', async () => {
      server = await listen(own, path, (server) => serve(server, true))
      log.info?.(`metrics are at ${server.url}`)
    })
    fastify.addHook('onClose', async () => { await server?.close() })
  } else {
    serve(fastify, false)
  }
  const { defaults, end } = await observeRuntime(scope, registries, { isOn: runtime, build, log }, trouble)
  endRuntime = end
  Clearing.of(registry).keep(defaults)
}

/**
 * The Fastify plugin: observes every request and serves the metrics.
 * @throws MetricsError FP_ERR_INVALID_OPTION at registration, FP_ERR_METRIC_CONFLICT when the registry holds something
 * else under a name of ours
 */
export const metricsPlugin: FastifyPluginAsync<MetricsPluginOptions> = fp(metrics, { fastify: '5.x', name: NAME })
