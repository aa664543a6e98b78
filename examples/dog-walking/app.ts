import formbody from '@fastify/formbody'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyServerOptions } from 'fastify'
import { metricsPlugin } from 'fastify-prometheus'
import type { Pool } from 'pg'
import type { DataSource } from 'typeorm'
import { invalidWalks, walkDistance, walksCompleted, walksStarted } from './metrics.js'
import { completePage, startPage, type Filled } from './pages/forms.js'
import type { Html } from './pages/html.js'
import { messagePage } from './pages/message.js'
import { overviewPage } from './pages/overview.js'
import { readStatus } from './status.js'
import { Walks, type CompleteFields, type StartFields } from './walks.js'

/** What the service stands on. Whoever gives it closes it. */
export interface Foundation {
  readonly dataSource: DataSource
  readonly statusPool: Pool
  readonly logger?: FastifyServerOptions['logger']
}

/** The service, not listening yet. */
export async function buildApp ({ dataSource, statusPool, logger = false }: Foundation): Promise<FastifyInstance> {
  const app = Fastify({ logger })
  const walks = new Walks(dataSource)

  // An exemplar says which request it was, by the id that stands in its log lines.
  await app.register(metricsPlugin, {
    live: true,
    nativeHistograms: true,
    exemplars: ({ id }) => ({ request_id: id }),
    excludeRoutes: ['/healthz'],
    // How many queries a page makes, and how long a request waited in nginx before it came here.
    metrics: { http_request_db_queries: true, http_request_db_duration_seconds: true, http_request_queue_duration_seconds: true }
  })
  await app.register(formbody)

  app.get('/', async (_request, reply) => {
    const [inProgress, completed, dogs] = await Promise.all([walks.inProgress(), walks.completed(), walks.dogsAtHome()])
    return send(reply, overviewPage({ inProgress, completed, dogsAtHome: dogs.length }))
  })

  app.get('/walks/start', async (_request, reply) => showStart(reply, { form: {} }))

  app.post('/walks/start', async (request, reply) => {
    const form = readForm(request.body, ['walker', 'dog'])
    const { walk, problems } = await walks.start(form)
    if (problems !== undefined) {
      invalidWalks.inc()
      return showStart(reply.code(400), { form, problems })
    }
    walksStarted.inc()
    return reply.redirect(`/#walk-${walk.id}`, 303)
  })

  app.get<{ Querystring: { walk?: unknown } }>('/walks/complete', async (request, reply) => {
    return showComplete(reply, { form: readForm(request.query, ['walk']) })
  })

  app.post('/walks/complete', async (request, reply) => {
    const form = readForm(request.body, ['walk', 'distance'])
    const { walk, problems } = await walks.complete(form)
    if (problems !== undefined) {
      invalidWalks.inc()
      return showComplete(reply.code(400), { form, problems })
    }
    walksCompleted.inc()
    walkDistance.observe(walk.distance ?? 0)
    return reply.redirect(`/#walk-${walk.id}`, 303)
  })

  app.get('/status', () => readStatus(statusPool))

  // For whoever starts and stops this process: it says that the process answers, and nothing of the database.
  app.get('/healthz', { logLevel: 'warn' }, () => ({ status: 'up' }))

  app.setNotFoundHandler((_request, reply) => send(reply.code(404), messagePage('Not here', 'This path leads nowhere.')))

  app.setErrorHandler<Error & { statusCode?: number }>((error, request, reply) => {
    const { statusCode = 500 } = error
    if (statusCode >= 500) request.log.error(error)
    return statusCode >= 500
      ? send(reply.code(statusCode), messagePage('Out of order', 'Something went wrong on our side. Please try again.'))
      : send(reply.code(statusCode), messagePage('Not understood', `${error.message}.`.replace(/\.\.$/, '.')))
  })

  async function showStart (reply: FastifyReply, filled: Filled<StartFields>): Promise<FastifyReply> {
    const [walkers, dogs] = await Promise.all([walks.walkers(), walks.dogsAtHome()])
    return send(reply, startPage(walkers, dogs, filled))
  }

  async function showComplete (reply: FastifyReply, filled: Filled<CompleteFields>): Promise<FastifyReply> {
    return send(reply, completePage(await walks.inProgress(), filled))
  }

  return app
}

function send (reply: FastifyReply, page: Html): FastifyReply {
  return reply.type('text/html; charset=utf-8').send(page.text)
}

/** The fields as they were sent; '' for one that is missing, or is there more than once. */
function readForm<F extends string> (body: unknown, fields: readonly F[]): Record<F, string> {
  const sent = Object(body) as Record<string, unknown>
  return Object.fromEntries(fields.map((field) => [field, typeof sent[field] === 'string' ? sent[field].trim() : ''])) as Record<F, string>
}
