import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import cors from '@fastify/cors'
import express from '@fastify/express'
import httpProxy from '@fastify/http-proxy'
import fastifyStatic from '@fastify/static'
import Express from 'express'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { ended } from '../support/books.js'
import { service } from '../support/http.js'
import { ask, checkBooks, ORDERS, scrape } from '../support/neighbours.js'

const known = /^\/(?:up|shop|files)\/(?:walks|leashes|pictures)(?![^/?])/

for (const order of ORDERS) {
  t.test(`what no route names has the label that the option 'route' gives, ${order}`, async (t) => {
    const behind = Fastify({ forceCloseConnections: true })
    t.teardown(() => behind.close())
    behind.get('/walks/:id', async () => 'walk')
    const upstream = await behind.listen({ port: 0, host: '127.0.0.1' })
    const root = join(t.testdir({ files: {} }), 'files')
    await mkdir(join(root, 'pictures'))
    await writeFile(join(root, 'pictures/dog.txt'), 'a dog')
    await writeFile(join(root, 'dog.txt'), 'a dog')
    const { url } = await service(t, {
      [order]: (app: FastifyInstance) => {
        app.register(express)
        app.register(cors)
        app.register(httpProxy, { upstream, prefix: '/up' })
        app.register(fastifyStatic, { root, prefix: '/files/' })
        app.register(async (app) => { app.get('/shop/walks', async () => 'a route of its own') })
        app.after(() => {
          const shop = Express()
          shop.get('/leashes/:id', (_request, response) => { response.json({}) })
          app.use('/shop', shop)
        })
      },
      options: { route: (request) => known.exec(request.url)?.[0] }
    })
    const preflight = { method: 'OPTIONS', headers: { origin: 'https://elsewhere.example', 'access-control-request-method': 'GET' } }
    const asked: Array<[path: string, route: string, status: number, init?: RequestInit]> = [
      ['/shop/leashes/1', '/shop/leashes', 200],
      ['/shop/leashes/2?colour=red', '/shop/leashes', 200],
      ['/shop/nothing', '__unmatched__', 404],
      ['/up/walks/1', '/up/walks', 200],
      ['/up/nothing', '/up/*', 404],
      ['/files/pictures/dog.txt', '/files/pictures', 200],
      ['/files/dog.txt', '/files/*', 200],
      ['/shop/walks', '/shop/walks', 200],
      ['/nothing', '__unmatched__', 404],
      ['/nothing', '*', 204, preflight]
    ]
    for (const [path, , status, init] of asked) t.equal(await ask(url, path, init), status, path)
    const page = await scrape(url)
    for (const [, route, status] of asked) t.equal(ended(page, { route, status_code: String(status) }), asked.filter((other) => other[1] === route && other[2] === status).length, route)
    checkBooks(t, page, asked.length)
  })
}

t.test("a name in a route's config stands, whatever the option 'route' gives", async (t) => {
  const behind = Fastify({ forceCloseConnections: true })
  t.teardown(() => behind.close())
  const upstream = await behind.listen({ port: 0, host: '127.0.0.1' })
  const { url } = await service(t, {
    routes: (app) => { app.register(httpProxy, { upstream, prefix: '/up', config: { metrics: { route: 'walks-service' } } }) },
    options: { route: () => 'given' }
  })
  t.equal(await ask(url, '/up/walks/1'), 404)
  t.same((await scrape(url)).values('http_requests_received_total', 'route'), ['walks-service'])
})
