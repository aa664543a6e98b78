import { connect } from 'node:http2'
import { once } from 'node:events'
import type { FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import type { MetricsPluginOptions } from '../../src/index.js'
import { checkBooks } from '../support/books.js'
import { exchange, get, service } from '../support/http.js'

type Routes = NonNullable<NonNullable<Parameters<typeof service>[1]>['routes']>

/** A service, and what is in its log at 'warn' and above. */
async function logged (t: Test, options: MetricsPluginOptions, routes: Routes = () => {}, before: Routes = () => {}) {
  const warnings: string[] = []
  const logger = { level: 'warn', stream: { write: (line: string) => { warnings.push((JSON.parse(line) as { msg: string }).msg) } } }
  return { ...await service(t, { server: { logger }, options, routes, before }), warnings }
}

const received = 'http_requests_received_total'

t.test('the option route names what no route names, and nothing else', async (t) => {
  const asked: string[] = []
  const { app, page, port } = await service(t, {
    options: {
      route (request) {
        asked.push(request.url)
        return request.url.split('/', 2).join('/')
      }
    },
    routes: (app) => {
      app.get('/walks/:id', async () => 'walk')
      app.get('/files/*', async () => 'file')
      app.get('/own/*', { config: { metrics: { route: 'own' } } }, async () => 'own')
      app.get('/quiet/*', { config: { metrics: false } }, async () => 'quiet')
    }
  })
  const urls = ['/walks/1', '/files/a', '/files/b/c', '/own/a', '/quiet/a', '/nowhere/a', '/nowhere/b']
  for (const url of urls) await app.inject(url)
  await exchange(port, get('/%'))
  t.same(asked, ['/files/a', '/files/b/c', '/nowhere/a', '/nowhere/b'], 'it is called once for each')
  const after = await page()
  const counts = (name: string) => Object.fromEntries(after.values(name, 'route').map((route) => [route, after.sum(name, { route })]))
  const all = { '/walks/:id': 1, '/files': 2, own: 1, '/nowhere': 2, __unmatched__: 1 }
  t.same(counts(received), all)
  t.same(counts('http_request_duration_seconds_count'), all)
  t.same(counts('http_handler_duration_seconds_count'), { '/walks/:id': 1, '/files': 2, own: 1 }, 'handlers of wildcards are measured')
  t.same(counts('http_requests_in_flight'), Object.fromEntries(Object.keys(all).map((route) => [route, 0])))
  checkBooks(t, after)
})

t.test('methods that the server does not know are one under a label, too', async (t) => {
  const { app, page } = await service(t, { options: { route: () => 'named' } })
  for (const method of ['GET', 'POST', 'PURGE', 'MOVE']) await app.inject({ method: method as 'GET', url: '/nowhere' })
  t.same((await page()).values(received, 'method'), ['GET', 'POST', '_OTHER'])
})

t.test('a hundred labels have their own value; the next are _OTHER, which the log tells once', async (t) => {
  const { app, page, warnings } = await logged(t, { route: (request) => request.url })
  for (let i = 0; i < 100; i++) await app.inject(`/${i}`)
  t.same(warnings, [], 'there is room for a hundred')
  for (const url of ['/100', '/101', '/100', '/99', '/0']) await app.inject(url)
  const after = await page()
  t.equal(after.values(received, 'route').length, 101)
  t.equal(after.sum(received, { route: '_OTHER' }), 3)
  t.equal(after.sum(received, { route: '/99' }), 2, 'those that were there stay')
  t.equal(after.sum(received, { route: '/0' }), 2)
  t.match(warnings, [/the option 'route' has given 100 labels, and new ones are '_OTHER'/])
  t.equal(warnings.length, 1)
  t.notMatch(warnings.join(), '/100', 'no label is in the log')
})

t.test('what the option route gives is no label: the route keeps its own', async (t) => {
  const given: unknown[] = ['', undefined, null, 7, true, {}, ['a'], Symbol('a'), () => 'a', Promise.resolve('a')]
  for (const answer of given) {
    const { app, page } = await service(t, { options: { route: () => answer as string }, routes: (app) => { app.get('/files/*', async () => 'file') } })
    for (const url of ['/files/a', '/nowhere']) await app.inject(url)
    const after = await page()
    t.same(after.values(received, 'route'), ['/files/*', '__unmatched__'], `${typeof answer} is no label`)
    checkBooks(t, after)
  }
})

t.test('an error of the option route is counted and logged once, and the label stays', async (t) => {
  const { app, page, warnings } = await logged(t, { route: () => { throw new Error('no label') } }, (app) => { app.get('/files/*', async () => 'file') })
  t.equal((await app.inject('/files/a')).body, 'file')
  t.equal((await app.inject('/nowhere')).statusCode, 404)
  const after = await page()
  t.same(after.values(received, 'route'), ['/files/*', '__unmatched__'])
  t.equal(after.sum('metrics_instrumentation_errors_total', { source: 'route' }), 2)
  t.match(warnings, [/route failed/])
  t.equal(warnings.length, 1)
})

t.test('excludeRoutes leaves out by the route, and by the label that it was given', async (t) => {
  const asked: string[] = []
  const { app, page } = await service(t, {
    options: {
      route (request) {
        asked.push(request.url)
        return request.url.split('/', 2).join('/')
      },
      excludeRoutes: ['/hidden/*', '/secret', /^\/int/]
    },
    routes: (app) => {
      app.get('/hidden/*', async () => 'hidden')
      app.get('/files/*', async () => 'file')
    }
  })
  for (const url of ['/hidden/a', '/secret/a', '/internal/a', '/files/a']) await app.inject(url)
  const after = await page()
  t.same(after.values(received, 'route'), ['/files'])
  t.same(asked, ['/secret/a', '/internal/a', '/files/a'], 'a route that is left out is not asked for')
  const all = await service(t, { options: { route: () => 'named', excludeRoutes: ['__unmatched__'] } })
  await all.app.inject('/nowhere')
  t.same((await all.page()).of(received), [], 'what no route matched is left out, whatever its label')
})

t.test('a wildcard that streams is long-lived under its label', async (t) => {
  const { port, page } = await service(t, {
    server: { http2: true } as FastifyServerOptions,
    options: { route: () => 'events' },
    routes: (app) => {
      app.get('/events/*', { config: { metrics: { longLived: true } } }, (_request, reply) => {
        reply.hijack()
        reply.raw.writeHead(200)
        reply.raw.write('first')
      })
    }
  })
  const session = connect(`http://127.0.0.1:${port}`)
  t.teardown(() => session.destroy())
  await once(session.request({ ':path': '/events/a' }).on('error', () => {}), 'data')
  t.equal((await page()).sum('http_streams_open', { route: 'events' }), 1)
})

t.test('the option route is asked once where a hook from before the plugin throws', async (t) => {
  let asked = 0
  const { app, page } = await logged(t, { route: () => `named ${++asked}` }, () => {}, (app) => {
    app.addHook('onRequest', async () => { throw new TypeError('no') })
  })
  t.equal((await app.inject('/nowhere')).statusCode, 500)
  const after = await page()
  t.same(after.values(received, 'route'), ['named 1'])
  t.equal(after.sum('http_exceptions_total', { route: 'named 1', type: 'TypeError' }), 1)
  checkBooks(t, after)
})

t.test('a label of the user that is at its hundred values is told once, by its name', async (t) => {
  const { app, page, warnings } = await logged(t, {
    labels: { tenant: (request) => request.url, plan: () => 'free', shop: (request) => Number(request.url.slice(1)) }
  }, (app) => { app.get('/:tenant', async () => 'ok') })
  for (let i = 0; i < 100; i++) await app.inject(`/${i}`)
  t.same(warnings, [], 'there is room for a hundred')
  for (const url of ['/100', '/101', '/100', '/99']) await app.inject(url)
  t.match(warnings, ['tenant', 'shop'].map((name) => new RegExp(`label '${name}' has reached its 100 values, and new ones are '_OTHER'`)))
  t.equal(warnings.length, 2)
  const after = await page()
  t.equal(after.sum('http_request_duration_seconds_count', { tenant: '/99', shop: '99' }), 2, 'those that were there stay')
  t.equal(after.sum('http_request_duration_seconds_count', { tenant: '_OTHER', shop: '_OTHER', plan: 'free' }), 3)
})

t.test('what matched no route takes no label from wildcards, and a label has at most 128 characters', async (t) => {
  const { app, page } = await service(t, {
    options: {
      route: (request) => request.url.split('/').slice(0, 3).join('/'),
      labels: { tenant: (request) => request.headers['x-tenant'] as string }
    },
    routes: (app) => { app.get('/up/*', async () => 'ok') }
  })
  for (let i = 0; i < 150; i++) await app.inject(`/scan/${i}`)
  await app.inject('/up/walks/7')
  await app.inject({ url: `/up/${'x'.repeat(5000)}`, headers: { 'x-tenant': 'y'.repeat(5000) } })
  const after = await page()
  t.equal(after.sum('http_requests_received_total', { route: '/up/walks' }), 1)
  t.equal(after.sum('http_requests_received_total', { route: '_OTHER' }), 51)
  t.equal(after.sum('http_request_duration_seconds_count', { tenant: '_OTHER' }), 1)
  t.notMatch(after.text, /x{129}|y{129}/)
})

t.test('a long-lived wildcard and a plain one of the same label are each what they are', async (t) => {
  const { app, page } = await service(t, {
    options: { route: () => 'both' },
    routes: (app) => {
      app.get('/plain/*', async () => 'ok')
      app.get('/live/*', { config: { metrics: { longLived: true } } }, (_request, reply) => {
        reply.hijack()
        reply.raw.write('first')
        app.server.emit('open')
      })
    }
  })
  await app.inject('/plain/1')
  const open = new Promise((resolve) => app.server.once('open', resolve))
  app.inject('/live/1').catch(() => {})
  await open
  const during = await page()
  t.equal(during.sum('http_streams_open', { route: 'both' }), 1)
  t.equal(during.sum('http_requests_in_flight', { route: 'both' }), 0)
})
