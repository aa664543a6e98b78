import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { collectDefaultMetrics } from 'prom-client'
import { serveMetrics } from './endpoint/route.js'
import { listen, type MetricsServer } from './endpoint/server.js'
import { FORMATS } from './exposition/index.js'
import { instrumentHttp } from './http/instrument.js'
import { onCap, type RegistryLike } from './metrics/index.js'
import { readOptions, type MetricsPluginOptions } from './options.js'
import { observedExposition } from './scrapes.js'
import { Trouble } from './trouble.js'

/** What `fastify.metrics` is. */
export interface FastifyMetrics {
  /** Where the metrics are, yours too if you put them there; the first one where there are several. */
  readonly registry: RegistryLike
  /** The content type of what render() gives. */
  readonly contentType: string
  /** The server of the endpoint's own port, from when the application is ready on; undefined where it has none. */
  readonly server: MetricsServer | undefined
  /** The page in the text format. */
  render (): Promise<string>
}

declare module 'fastify' {
  interface FastifyInstance {
    metrics: FastifyMetrics
  }
}

/** Tells our decorator from one that another plugin put under the same name, which Fastify refuses to replace. */
const OURS = Symbol.for('fastify-prometheus.metrics')

async function metrics (fastify: FastifyInstance, options: MetricsPluginOptions): Promise<void> {
  const { scope, registries, http, metrics, endpoint, exposition: exposed, runtime } = readOptions(options)
  if (fastify.hasDecorator('metrics') && OURS in fastify.metrics) {
    fastify.log.warn('fastify-prometheus is registered already; its first registration counts and this one does nothing')
    return
  }

  const { registry, prefix } = scope
  const trouble = new Trouble(scope, (message, err) => fastify.log.warn({ err }, message), metrics.metrics_instrumentation_errors_total !== false)
  const exposition = observedExposition(scope, registries, exposed, metrics, trouble)
  const stopTelling = onCap({ registries, tell: (message) => fastify.log.warn(message) })
  fastify.addHook('onClose', async () => { stopTelling() })
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
  if (endpoint?.port !== undefined) {
    const { port, ...route } = endpoint
    fastify.addHook('onReady', async () => {
      server = await listen(port, route, exposition)
      fastify.log.info(`metrics are at ${server.url}`)
    })
    fastify.addHook('onClose', async () => { await server?.close() })
  } else if (endpoint !== undefined) {
    serveMetrics(fastify, endpoint, exposition)
  }
  if (runtime && registries.every((each) => each.getSingleMetric(`${prefix}process_cpu_user_seconds_total`) === undefined)) {
    // prom-client asks for its own Registry, and calls on it what every registry of this shape has.
    collectDefaultMetrics({ register: registry as never, prefix })
  }
}

/**
 * The Fastify plugin: observes every request and serves the metrics.
 * @throws MetricsError FP_ERR_INVALID_OPTION at registration, FP_ERR_METRIC_CONFLICT where the registry holds something else under a name of ours
 */
export const metricsPlugin: FastifyPluginAsync<MetricsPluginOptions> = fp(metrics, { fastify: '5.x', name: 'fastify-prometheus' })
