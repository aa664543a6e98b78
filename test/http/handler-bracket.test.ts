import diagnostics from 'node:diagnostics_channel'
import Fastify, { type FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { metricsPlugin } from '../../src/index.js'
import { service } from '../support/http.js'
import { Page } from '../support/page.js'

/** The versions of Fastify at which its handler channel came or changed, and the one that is installed. */
const versions: Record<string, () => Promise<typeof Fastify>> = {
  installed: async () => Fastify,
  '5.0': async () => (await import('fastify-5.0')).default as unknown as typeof Fastify,
  '5.6': async () => (await import('fastify-5.6')).default as unknown as typeof Fastify,
  '5.7': async () => (await import('fastify-5.7')).default as unknown as typeof Fastify
}

const run = (page: Page, route: string) => page.sum('http_handler_duration_seconds_count', { route })

/** Answers with the status that an error handler sees, in each way that a handler or a hook can fail. */
function failing (app: FastifyInstance, seen: unknown[]): void {
  app.setErrorHandler((error: Error, _request, reply) => {
    seen.push(['error handler', reply.statusCode, reply.raw.statusCode])
    return reply.send({ status: reply.statusCode, message: error.message })
  })
  app.addHook('onError', async (_request, reply) => { seen.push(['onError', reply.statusCode]) })
  app.addHook('onSend', (_request, reply, _payload, done) => {
    seen.push(['onSend', reply.statusCode])
    done()
  })
  app.get('/sync', () => { throw new Error('sync') })
  app.get('/async', async () => { throw new Error('async') })
  app.get('/coded', async () => { throw Object.assign(new Error('coded'), { statusCode: 418 }) })
  app.get('/set', async (_request, reply) => {
    reply.code(202)
    throw new Error('set')
  })
  app.get('/sends', (_request, reply) => { reply.send(new Error('sends')) })
  app.get('/hook', { preHandler: async () => { throw new Error('hook') } }, async () => 'never')
  app.get('/after', async (_request, reply) => {
    await reply.send('sent')
    throw new Error('after')
  })
  app.get('/wrong-payload', (_request, reply) => {
    try {
      reply.type('text/html').send({ no: 'text' })
    } catch (error) {
      seen.push(['thrown', (error as { code: string }).code])
      reply.send('caught')
    }
  })
}

t.test('error handlers and hooks see the status that they see without it, in every Fastify of the process, on every 5.x', async (t) => {
  for (const [version, load] of Object.entries(versions)) {
    await t.test(version, async (t) => {
      const Fastify = await load()
      const runs: unknown[] = []
      const apps = { bare: Fastify(), observed: Fastify(), beside: Fastify() }
      for (const app of Object.values(apps)) t.teardown(() => app.close())
      for (const name of ['bare', 'observed', 'beside'] as const) {
        if (name === 'observed') await apps.observed.register(metricsPlugin, { registry: new Registry(), runtime: false })
        const seen: unknown[] = []
        failing(apps[name], seen)
        for (const path of ['/sync', '/async', '/coded', '/set', '/sends', '/hook', '/after', '/wrong-payload']) {
          const { statusCode, body } = await apps[name].inject(path)
          seen.push([path, statusCode, body])
        }
        runs.push(seen)
      }
      t.same(runs[1], runs[0], 'observed')
      t.same(runs[2], runs[0], 'beside an observed one')
      const page = new Page(await apps.observed.metrics.render())
      for (const route of ['/sync', '/async', '/coded', '/set', '/sends', '/after', '/wrong-payload']) t.equal(run(page, route), 1, `the handler of ${route} ran`)
      t.equal(run(page, '/hook'), 0, 'a failed hook is no run of the handler')
      t.equal(page.sum('metrics_instrumentation_errors_total'), 0)
    })
  }
  t.equal(diagnostics.channel('tracing:fastify.request.handler:start').hasSubscribers, false, "nobody listens to Fastify's own channel")
})

t.test('a handler is called as it is: with its this, once, and its result is taken once', async (t) => {
  let thens = 0
  const query = {
    then (resolve: (value: string) => void) {
      thens++
      setImmediate(() => resolve('rows'))
    }
  }
  const calls: unknown[][] = []
  const { app, page } = await service(t, {
    routes: (app) => {
      app.get('/query', () => query as never)
      app.get('/value', () => ({ value: 1 }))
      app.get('/this', function (...args) {
        calls.push([this === app, args.length, args[0].routeOptions.handler.name])
        args[1].send('ok')
      })
      app.get('/inner', async () => 'inner')
      app.get('/nested', async (_request, reply) => {
        const inner = app.inject('/inner')
        return reply.send((await inner).body)
      })
      app.get('/same', (request, reply) => {
        if (request.headers['x-inner'] !== undefined) return reply.send('inner')
        app.inject({ url: '/same', headers: { 'x-inner': '1' } }, (_error, response) => reply.send(response?.body))
      })
    }
  })
  t.equal((await app.inject('/query')).body, 'rows')
  t.equal(thens, 1, 'what runs when it is awaited ran once')
  t.equal(Object.hasOwn(query, 'then') && (await app.inject('/query')).body, 'rows', 'and is as it was')
  t.equal((await app.inject('/value')).json().value, 1)
  t.equal((await app.inject('/this')).body, 'ok')
  t.same(calls[0]?.slice(0, 2), [true, 2])
  t.equal((await app.inject('/nested')).body, 'inner')
  t.equal((await app.inject('/same')).body, 'inner')
  const after = await page()
  for (const [route, times] of [['/query', 2], ['/value', 1], ['/this', 1], ['/inner', 1], ['/nested', 1], ['/same', 2]] as const) t.equal(run(after, route), times, route)
})

t.test('nothing of ours is on the stack of a handler, and a rejection that nobody takes is nobody\'s', async (t) => {
  const stacks: string[] = []
  const { app } = await service(t, {
    routes: (app) => {
      app.get('/', { preHandler: async () => {} }, (_request, reply) => {
        const { stackTraceLimit } = Error
        Error.stackTraceLimit = 100
        stacks.push(new Error('here').stack ?? '')
        Error.stackTraceLimit = stackTraceLimit
        reply.send('ok')
      })
    }
  })
  await app.inject('/')
  t.equal(stacks.length, 1)
  t.notMatch(stacks[0], /src\/http\//)
})

t.test('routes from before the plugin are bracketed, and what the application reads of a route is its own', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const handler = async () => 'before'
  app.get('/before', handler)
  const read: unknown[] = []
  await app.register(metricsPlugin, { registry: new Registry(), runtime: false })
  app.get('/after', { preHandler: async (request) => { read.push(request.routeOptions.handler) } }, async (request) => {
    read.push(request.routeOptions.handler)
    return 'after'
  })
  for (const path of ['/before', '/after', '/after']) await app.inject(path)
  t.equal(new Set(read).size, 1, 'a hook and the handler read the same handler, at each request')
  const page = new Page(await app.metrics.render())
  t.equal(run(page, '/before'), 1)
  t.equal(run(page, '/after'), 2)
})
