import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import t from 'tap'
import { checkBooks } from '../support/books.js'
import { gate } from '../support/gate.js'
import { open, service } from '../support/http.js'

t.test('the oldest request in flight of each route has its age', async (t) => {
  for (const first of [true, false]) {
    const held = gate()
    const { app, port, page } = await service(t, {
      before: (app) => { if (!first) app.addHook('onRequest', async () => {}) },
      routes (app) {
        app.get('/walks', async () => { await held.opened; return 'walks' })
        app.get('/dogs', async () => { await held.opened; return 'dogs' })
        app.get('/now', async () => 'now')
      }
    })
    await app.inject('/now')
    const sockets = [await open(port), await open(port), await open(port)]
    const sent = async (path: string, socket: number) => {
      const came = once(app.server, 'request')
      sockets[socket]?.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
      await came
      return performance.now()
    }
    const walks = await sent('/walks', 0)
    await new Promise((resolve) => setTimeout(resolve, 300))
    const dogs = await sent('/dogs', 1)
    await sent('/walks', 2)
    const from = performance.now()
    const during = await page()
    const to = performance.now()
    for (const [route, since] of [['/walks', walks], ['/dogs', dogs]] as const) {
      const age = during.sum('http_request_oldest_seconds', { method: 'GET', route })
      t.ok(age > (from - since) / 1000 - 0.1 && age < (to - since) / 1000 + 0.1, `${route}: right to a tenth of a second: ${age} s`)
    }
    t.equal(during.sum('http_request_oldest_seconds', { route: '/now' }), 0)
    t.equal(during.sum('http_requests_in_flight', { route: '/walks' }), 2)

    const left = once(sockets[0] as NodeJS.EventEmitter, 'close')
    sockets[0]?.destroy()
    await left
    while ((await page()).sum('http_requests_in_flight', { route: '/walks' }) > 1) await new Promise((resolve) => setImmediate(resolve))
    t.ok((await page()).sum('http_request_oldest_seconds', { route: '/walks' }) < (performance.now() - walks) / 1000 - 0.2, 'the next is the oldest when that client has left')

    const answers = [sockets[1], sockets[2]].map((socket) => once(socket as NodeJS.EventEmitter, 'data'))
    held.open()
    await Promise.all(answers)
    while ((await page()).sum('http_requests_in_flight') > 0) await new Promise((resolve) => setImmediate(resolve))
    const after = await page()
    t.same(after.of('http_request_oldest_seconds').map(({ value }) => value), after.of('http_requests_in_flight').map(() => 0))
    checkBooks(t, after)
    for (const socket of sockets) socket.destroy()
  }
})

t.test('two applications on one registry show the older of their oldest', async (t) => {
  const held = gate()
  const routes = (app: Parameters<NonNullable<Parameters<typeof service>[1]>['routes'] & object>[0]) => {
    app.get('/walks', async () => { await held.opened; return 'walks' })
  }
  const { app, registry, page } = await service(t, { routes })
  const { app: second } = await service(t, { options: { registry }, routes })
  const since = performance.now()
  const first = app.inject('/walks').then((answer) => answer.statusCode)
  await new Promise((resolve) => setTimeout(resolve, 200))
  const other = second.inject('/walks').then((answer) => answer.statusCode)
  await new Promise((resolve) => setImmediate(resolve))
  const during = await page()
  t.equal(during.sum('http_requests_in_flight'), 2)
  const age = during.sum('http_request_oldest_seconds')
  t.ok(age > 0.19 && age < (performance.now() - since) / 1000, `and not their sum: ${age}`)
  held.open()
  t.same(await Promise.all([first, other]), [200, 200])
})
