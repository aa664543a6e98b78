import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { collectDefaultMetrics } from 'prom-client'
import { watchDroppedSeries } from './dropped-series.js'
import { serveMetrics, type Page } from './endpoint/route.js'
import { renderPage } from './exposition/text.js'
import { instrumentHttp } from './http/instrument.js'
import type { RegistryLike } from './metrics/index.js'
import { readOptions, type MetricsPluginOptions } from './options.js'
import { Trouble } from './trouble.js'

/** What `fastify.metrics` is. */
export interface FastifyMetrics extends Page {
  /** Where the metrics are, yours too if you put them there. */
  readonly registry: RegistryLike
  /** The content type of what render() gives. */
  readonly contentType: string
  /** The page that the endpoint serves. */
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
  const { scope, http, endpoint, runtime } = readOptions(options)
  if (fastify.hasDecorator('metrics') && OURS in fastify.metrics) {
    fastify.log.warn('fastify-prometheus is registered already; its first registration counts and this one does nothing')
    return
  }

  const { registry, prefix } = scope
  const trouble = new Trouble(scope, (message, err) => fastify.log.warn({ err }, message))
  const page: FastifyMetrics & { [OURS]: true } = {
    [OURS]: true,
    registry,
    get contentType () { return registry.contentType },
    render: () => renderPage(registry, (name, error) => trouble.report(`metric ${name}`, error))
  }
  fastify.decorate('metrics', page)

  instrumentHttp(fastify, scope, http, trouble)
  if (endpoint !== undefined) serveMetrics(fastify, endpoint, page)
  if (runtime && registry.getSingleMetric(`${prefix}process_cpu_user_seconds_total`) === undefined) {
    // prom-client asks for its own Registry, and calls on it what every registry of this shape has.
    collectDefaultMetrics({ register: registry as never, prefix })
  }
  watchDroppedSeries(scope)
}

/**
 * The Fastify plugin: observes every request and serves the metrics.
 * @throws MetricsError FP_ERR_INVALID_OPTION at registration, FP_ERR_METRIC_CONFLICT where the registry holds something else under a name of ours
 */
export const metricsPlugin: FastifyPluginAsync<MetricsPluginOptions> = fp(metrics, { fastify: '5.x', name: 'fastify-prometheus' })
