import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import express from '@fastify/express'
import httpProxy from '@fastify/http-proxy'
import middie from '@fastify/middie'
import replyFrom from '@fastify/reply-from'
import fastifyStatic from '@fastify/static'
import Express from 'express'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { ended } from '../support/books.js'
import { service } from '../support/http.js'
import { ask, checkBooks, ORDERS, scrape } from '../support/neighbours.js'

/** A service behind a proxy; closed at teardown. */
async function upstream (t: Test): Promise<string> {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  app.get('/walks/:id', async () => 'walk')
  app.get('/down', async (_request, reply) => reply.code(503).send('down'))
  return await app.listen({ port: 0, host: '127.0.0.1' })
}

/** An application of Express mounted at /shop, and a route of Fastify beside it. */
function mounted (app: FastifyInstance): void {
  app.register(express)
  app.register(async (app) => { app.get('/', async () => 'ok') })
  app.after(() => {
    const shop = Express()
    shop.get('/leashes/:id', (request, response) => { response.status(202).json(request.params) })
    shop.get('/broken', () => { throw new RangeError('broken') })
    app.use('/shop', shop)
  })
}

for (const order of ORDERS) {
  t.test(`@fastify/express, ${order}: what it answers is __unmatched__ with its status, and the page is not touched`, async (t) => {
    const { url } = await service(t, { [order]: mounted })
    t.equal(await ask(url, '/shop/leashes/1'), 202)
    t.equal(await ask(url, '/shop/leashes/2'), 202)
    t.equal(await ask(url, '/shop/broken'), 500)
    t.equal(await ask(url, '/shop/nothing'), 404)
    t.equal(await ask(url, '/'), 200)
    const page = await scrape(url)
    t.equal(ended(page, { route: '__unmatched__', status_code: '202' }), 2)
    t.equal(ended(page, { route: '__unmatched__', status_code: '500' }), 1)
    t.equal(ended(page, { route: '__unmatched__', status_code: '404' }), 1)
    t.equal(ended(page, { route: '/', status_code: '200' }), 1)
    checkBooks(t, page, 5)
  })

  t.test(`@fastify/middie, ${order}: what a middleware answers on a route of Fastify is that route's`, async (t) => {
    const { url } = await service(t, {
      [order]: (app: FastifyInstance) => {
        app.register(middie)
        app.after(() => {
          app.get('/closed', async () => 'never')
          app.use('/closed', (_request, response) => {
            response.statusCode = 410
            response.end('gone')
          })
          app.use('/elsewhere', (_request, response) => { response.end('a middleware') })
        })
      }
    })
    t.equal(await ask(url, '/closed'), 410)
    t.equal(await ask(url, '/elsewhere'), 200)
    const page = await scrape(url)
    t.equal(ended(page, { route: '/closed', status_code: '410' }), 1)
    t.equal(page.sum('http_handler_duration_seconds_count', { route: '/closed' }), 0, 'its handler never ran')
    t.equal(ended(page, { route: '__unmatched__', status_code: '200' }), 1)
    checkBooks(t, page, 2)
  })
}

t.test('a label of your own tells what is mounted where, without a series for each address', async (t) => {
  const { url } = await service(t, {
    routes: mounted,
    options: { labels: { area: (request) => request.originalUrl.startsWith('/shop/') ? 'shop' : '' } }
  })
  for (let leash = 0; leash < 5; leash++) await ask(url, `/shop/leashes/${leash}`)
  await ask(url, '/')
  const page = await scrape(url)
  t.equal(ended(page, { route: '__unmatched__', area: 'shop', status_code: '202' }), 5)
  t.same(page.values('http_request_duration_seconds_count', 'area'), ['', 'shop'])
  checkBooks(t, page, 6)
})

t.test('@fastify/http-proxy: what goes through a prefix is one route, which can be named; the statuses are those of the upstream', async (t) => {
  const behind = await upstream(t)
  const { url } = await service(t, {
    routes: (app) => {
      app.register(httpProxy, { upstream: behind, prefix: '/up' })
      app.register(httpProxy, { upstream: behind, prefix: '/walks-service', config: { metrics: { route: 'walks-service' } } })
    }
  })
  for (const id of [1, 2]) t.equal(await ask(url, `/up/walks/${id}`), 200)
  t.equal(await ask(url, '/up/down'), 503)
  t.equal(await ask(url, '/up/nothing'), 404)
  t.equal(await ask(url, '/walks-service/walks/1'), 200)
  const page = await scrape(url)
  t.equal(ended(page, { route: '/up/*', status_code: '200' }), 2)
  t.equal(ended(page, { route: '/up/*', status_code: '503' }), 1)
  t.equal(ended(page, { route: '/up/*', status_code: '404' }), 1)
  t.equal(ended(page, { route: 'walks-service', status_code: '200' }), 1)
  checkBooks(t, page, 5)
})

t.test('@fastify/http-proxy: an upstream that is away is an error of the route', async (t) => {
  const away = Fastify()
  const behind = await away.listen({ port: 0, host: '127.0.0.1' })
  await away.close()
  const { url } = await service(t, { routes: (app) => { app.register(httpProxy, { upstream: behind, prefix: '/up' }) } })
  const status = await ask(url, '/up/walks/1')
  t.ok(status >= 500, `${status}`)
  const page = await scrape(url)
  t.equal(ended(page, { route: '/up/*', status_code: String(status) }), 1)
  checkBooks(t, page, 1)
})

t.test('@fastify/reply-from: a route that answers from elsewhere keeps its name', async (t) => {
  const behind = await upstream(t)
  const { url } = await service(t, {
    routes: (app) => {
      app.register(replyFrom, { base: behind })
      app.get('/walk/:id', (request, reply) => reply.from('/walks/1'))
    }
  })
  t.equal(await ask(url, '/walk/7'), 200)
  const page = await scrape(url)
  t.equal(ended(page, { route: '/walk/:id', status_code: '200' }), 1)
  checkBooks(t, page, 1)
})

t.test('@fastify/static: one route for all files, or with wildcard: false one for each', async (t) => {
  const root = join(t.testdir({ files: {} }), 'files')
  await mkdir(join(root, 'pictures'))
  await writeFile(join(root, 'dog.txt'), 'a dog')
  await writeFile(join(root, 'pictures/cat.txt'), 'a cat')
  for (const wildcard of [true, false]) {
    const { url } = await service(t, { routes: (app) => { app.register(fastifyStatic, { root, prefix: '/files/', wildcard }) } })
    t.equal(await ask(url, '/files/dog.txt'), 200)
    t.equal(await ask(url, '/files/pictures/cat.txt'), 200)
    t.equal(await ask(url, '/files/dog.txt', { headers: { range: 'bytes=0-1' } }), 206)
    t.equal(await ask(url, '/files/dog.txt', { method: 'HEAD' }), 200)
    const sizes = (await scrape(url)).sum('http_response_size_bytes_sum', { method: 'GET' })
    t.equal(sizes, 'a dog'.length + 'a cat'.length + 'a '.length, 'files are streamed, and their sizes known')
    t.equal(await ask(url, '/files/cow.txt'), 404)
    const page = await scrape(url)
    const routes = page.values('http_requests_received_total', 'route')
    t.same(routes, wildcard ? ['/files/*'] : ['/files/dog.txt', '/files/pictures/cat.txt', '__unmatched__'], `wildcard: ${wildcard}`)
    checkBooks(t, page, 5)
  }
})
