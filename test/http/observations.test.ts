import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { PassThrough, Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { Agent, request } from 'node:http'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import { queuedSeconds } from '../../src/http/headers.js'
import { assertSeries } from '../../src/testing/index.js'
import { countUsage, currentUsage, newUsage } from '../../src/instrumentation/index.js'
import { exchange, service } from '../support/http.js'

t.test('sizes are of bodies: said, counted, empty or unknown', async (t) => {
  const file = new URL(import.meta.url)
  const { size } = await stat(file)
  const { app, url, page, port } = await service(t, {
    routes: (app) => {
      app.post('/echo', async (request) => request.body)
      app.get('/empty', async (_request, reply) => reply.code(204).send())
      app.get('/same', async (_request, reply) => reply.code(304).send())
      app.get('/twenty', async () => 'x'.repeat(20))
      app.get('/stream', (_request, reply) => { reply.send(Readable.from(['a', 'b'])) })
      app.get('/file', async (_request, reply) => reply.header('content-length', size).send(createReadStream(file)))
      app.get('/raw', (_request, reply) => {
        reply.hijack()
        reply.raw.end('hijacked')
      })
    }
  })
  const agent = new Agent()
  t.teardown(() => agent.destroy())
  const chunked = request(`${url}/echo`, { method: 'POST', agent, headers: { 'content-type': 'text/plain' } })
  chunked.write('0123456789')
  chunked.end('0123456789')
  const [answer] = await once(chunked, 'response')
  answer.resume()
  await once(answer, 'end')
  let body = await page()
  t.equal(body.sum('http_request_size_bytes_sum', { route: '/echo' }), 20, 'a chunked body is counted as it comes')

  await (await fetch(`${url}/echo`, { method: 'POST', body: '12345' })).text()
  for (const path of ['/empty', '/same', '/twenty', '/stream', '/file', '/raw']) await (await fetch(url + path)).text()
  await fetch(`${url}/twenty`, { method: 'HEAD' })
  t.match(await exchange(port, 'POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 999999999999\r\n\r\nx'), / 413 /)

  body = await page()
  const responses = (labels: Record<string, string>) => [body.sum('http_response_size_bytes_count', labels), body.sum('http_response_size_bytes_sum', labels)]
  t.equal(body.sum('http_request_size_bytes_sum', { route: '/echo' }), 25, 'a length that is only claimed is not believed')
  t.equal(body.sum('http_request_size_bytes_count', { route: '/echo' }), 2)
  t.same([body.sum('http_request_size_bytes_count', { route: '/empty' }), body.sum('http_request_size_bytes_sum', { route: '/empty' })], [1, 0])
  t.same(responses({ route: '/empty' }), [1, 0])
  t.same(responses({ route: '/same' }), [1, 0])
  t.same(responses({ route: '/twenty', method: 'GET' }), [1, 20])
  t.same(responses({ route: '/twenty', method: 'HEAD' }), [1, 0], 'HEAD sends no body')
  t.same(responses({ route: '/stream' }), [0, 0], 'a stream of unknown length is not observed')
  t.same(responses({ route: '/file' }), [1, size], 'a stream of known length is')
  t.same(responses({ route: '/raw' }), [1, 8], 'a hijacked response too')
  t.same(body.values('http_responses_streamed_total', 'route'), ['/stream'])
  t.equal(app.metrics.contentType, 'text/plain; version=0.0.4; charset=utf-8')
})

t.test('durations: the whole request holds its handler, the handler only itself', async (t) => {
  // The test's own clock, so that seconds pass where it says so and nowhere else.
  const { now } = performance
  let seconds = 1000
  performance.now = () => seconds * 1000
  t.teardown(() => { performance.now = now })
  const gate = new PassThrough()
  const { app, url, page } = await service(t, {
    routes: (app) => {
      app.get('/async', { preHandler: async () => { seconds += 3 } }, async () => {
        await new Promise(setImmediate)
        seconds += 0.5
        return 'quick'
      })
      app.get('/callback', (_request, reply) => {
        setImmediate(() => {
          seconds += 2
          reply.send('late')
        })
      })
      app.get('/slow-stream', (_request, reply) => {
        const stream = new PassThrough()
        stream.write('first')
        setImmediate(() => {
          seconds += 4
          stream.end('last')
        })
        reply.send(stream)
      })
      app.get('/works-on', async (_request, reply) => {
        reply.send('sent')
        await once(gate, 'release')
        seconds += 5
      })
      app.get('/throws', async () => {
        seconds += 0.25
        throw new Error('teapot')
      })
    }
  })
  for (const path of ['/async', '/callback', '/slow-stream', '/works-on', '/throws']) await (await fetch(url + path)).text()
  gate.emit('release')
  await new Promise(setImmediate)
  await app.inject('/async')
  const body = await page()
  const expected: Array<[route: string, runs: number, whole: number, handler: number, why: string]> = [
    ['/async', 2, 7, 1, 'hooks are in the whole, and not in the handler'],
    ['/callback', 1, 2, 2, 'a handler that answers from a callback ends with its answer'],
    ['/slow-stream', 1, 4, 0, 'a handler that sends a stream ends there, and the stream goes on'],
    ['/works-on', 1, 0, 0, 'work after the answer is in neither, and no second run'],
    ['/throws', 1, 0.25, 0.25, 'an error ends a handler too']
  ]
  for (const [route, runs, whole, handler, why] of expected) {
    t.same([body.sum('http_request_duration_seconds_count', { route }), body.sum('http_handler_duration_seconds_count', { route })], [runs, runs], `${route} ran ${runs} times`)
    t.same([body.sum('http_request_duration_seconds_sum', { route }), body.sum('http_handler_duration_seconds_sum', { route })], [whole, handler], why)
  }
})

t.test('what is opt-in is there when asked for, and what is switched off is not', async (t) => {
  const { app, page, registry } = await service(t, {
    options: {
      metrics: {
        http_requests_ajax_total: true,
        http_responses_charset_total: true,
        http_responses_template_total: true,
        http_request_queue_duration_seconds: true,
        http_request_db_queries: true,
        http_request_db_duration_seconds: true,
        http_request_size_bytes: false,
        http_handler_duration_seconds: false,
        http_exceptions_total: false
      }
    },
    routes: (app) => {
      app.decorateReply('view', function (this: FastifyReply, page: string, data: object) { return this.send(`${page} ${JSON.stringify(data)}`) })
      app.get('/view', (_request, reply) => (reply as unknown as { view: (page: string, data: object) => unknown }).view('walk.ejs', { dog: 'Rex' }))
      app.get('/latin', async (_request, reply) => reply.type('text/html; charset=ISO-8859-1').send('x'))
      app.get('/strange', async (_request, reply) => reply.type('text/html; charset=made-up').send('x'))
      app.get('/queries', async () => {
        await wait(1)
        const usage = currentUsage()
        if (usage === undefined) throw new Error('no usage')
        usage.queries += 3
        usage.seconds += 0.25
        return 'three queries'
      })
      app.get('/throws', async () => { throw new Error('x') })
    }
  })
  t.equal((await app.inject('/view')).body, 'walk.ejs {"dog":"Rex"}', 'the view is as without us')
  await app.inject({ url: '/latin', headers: { 'x-requested-with': 'XMLHttpRequest' } })
  await app.inject('/strange')
  await app.inject('/throws')
  await app.inject('/queries')
  const ago = (seconds: number) => Date.now() / 1000 - seconds
  for (const header of [`t=${ago(2).toFixed(3)}`, `${Math.round(ago(2) * 1000)}`, `${Math.round(ago(2) * 1e6)}`]) await app.inject({ url: '/latin', headers: { 'x-request-start': header } })
  for (const header of ['nonsense', `${Math.round(ago(-100))}`, '1e400', `t=${ago(100_000)}`]) await app.inject({ url: '/latin', headers: { 'x-queue-start': header } })
  const body = await page()
  await assertSeries(registry, 'http_requests_ajax_total', { method: 'GET', route: '/latin' }, 1)
  await assertSeries(registry, 'http_responses_template_total', { template: 'walk.ejs' }, 1)
  await assertSeries(registry, 'http_responses_charset_total', { charset: 'iso-8859-1' }, 8)
  await assertSeries(registry, 'http_responses_charset_total', { charset: '_OTHER' }, 1)
  t.equal(body.sum('http_request_queue_duration_seconds_count'), 3, 'what cannot be believed is not observed')
  const queued = body.sum('http_request_queue_duration_seconds_sum')
  t.ok(queued > 5.9 && queued < 600, 'seconds, milli- and microseconds are understood')
  t.equal(body.sum('http_request_db_queries_sum', { route: '/queries' }), 3)
  t.equal(body.sum('http_request_db_duration_seconds_sum', { route: '/queries' }), 0.25)
  t.equal(body.sum('http_request_db_queries_count', { route: '/latin' }), 8)
  for (const name of ['http_request_size_bytes_count', 'http_handler_duration_seconds_count', 'http_exceptions_total']) t.same(body.of(name), [], `${name} is off`)
  t.notMatch(body.text, /http_request_size_bytes|http_handler_duration/)
})

t.test('usage is of one request, and of none outside of one', async (t) => {
  t.equal(currentUsage(), undefined)
  const usage = newUsage()
  await new Promise<void>((resolve) => countUsage(usage, () => setImmediate(() => {
    const seen = currentUsage()
    t.equal(seen, usage)
    resolve()
  })))
})

t.test('a request that came in the same millisecond as its proxy says has waited for no time, and one from the future is not believed', async (t) => {
  const now = 1_700_000_000_000
  const said = (milliseconds: number) => ({ 'x-request-start': `t=${((now + milliseconds) / 1000).toFixed(3)}` })
  t.same([-5, 0, 1, 3].map((later) => queuedSeconds(said(later), now)?.toFixed(3)), ['0.005', '0.000', '0.000', undefined])
})
