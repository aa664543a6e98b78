import t from 'tap'
import { asyncProperty, array, assert, constantFrom, boolean, record } from 'fast-check'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { request } from 'node:http'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import * as undici from 'undici'
import { HostileService, paths } from '../support/hostile-service.js'
import { observedOutgoing } from '../support/outgoing.js'

const service = await HostileService.start(t)
const { origin } = service

/** What tells that a request begins; the second is of Node 22.12 and later, and the third follows it. */
const BEGINS = ['undici:request:create', 'http.client.request.created', 'http.client.request.start']

/** How a request is made, how its answer is read, and who gives up. */
const plan = record({
  client: constantFrom('fetch', 'undici', 'pool', 'node:http'),
  path: constantFrom(...paths),
  reads: constantFrom('all', 'nothing', 'a chunk'),
  gives: constantFrom('never', 'at once', 'later'),
  upload: boolean()
})
type Plan = (typeof plan) extends { generate: (...args: never[]) => { value: infer P } } ? P : never

/** Does what a plan says. Whatever fails, fails. */
async function carryOut (plan: Plan, pool: undici.Pool): Promise<void> {
  const controller = new AbortController()
  const { signal } = controller
  if (plan.gives === 'later') service.asked.then(() => setImmediate()).then(() => { controller.abort() }, () => {})
  const answer = ask(plan, pool, signal).catch(() => {})
  if (plan.gives === 'at once') controller.abort()
  await answer
}

async function ask ({ client, path, reads, upload }: Plan, pool: undici.Pool, signal: AbortSignal): Promise<void> {
  const [method, body] = upload ? ['POST', 'x'.repeat(70_000)] as const : ['GET', undefined] as const
  if (client === 'fetch') {
    const { body: read } = await fetch(origin + path, { method, body: body ?? null, signal })
    if (read !== null) await take(read, reads)
  } else if (client === 'node:http') {
    const sent = request({ host: '127.0.0.1', port: service.port, path, method, signal })
    sent.on('error', () => {}).end(body)
    const [response] = await once(sent, 'response')
    response.on('error', () => {})
    if (reads === 'nothing') response.destroy()
    else await take(response, reads)
  } else {
    const options = { method, body: body ?? null, signal, path, origin }
    const { body: read } = await (client === 'pool' ? pool.request(options) : undici.request(origin + path, options))
    if (reads === 'nothing') read.on('error', () => {}).destroy()
    else await take(read, reads)
  }
}

/** Reads a body, or leaves it: leaving the iterator ends the body. */
async function take (body: AsyncIterable<unknown>, reads: Plan['reads']): Promise<void> {
  for await (const chunk of body) if (reads === 'a chunk' && chunk !== undefined) break
}

t.test('whatever the clients and the service do: begun = answered + failed + in flight, and in the end nothing is in flight', async (t) => {
  await assert(asyncProperty(array(plan, { minLength: 1, maxLength: 12 }), async (plans) => {
    const outgoing = observedOutgoing(t)
    let begun = 0
    const seen = new WeakSet<object>()
    const count = (message: unknown) => {
      const { request } = message as { request: object }
      if (!seen.has(request)) begun++
      seen.add(request)
    }
    for (const channel of BEGINS) subscribe(channel, count)
    const pool = new undici.Pool(origin, { connections: 2, pipelining: 2 })
    const state = { over: false }
    const all = Promise.all(plans.map((plan) => carryOut(plan, pool))).then(() => { state.over = true })
    // Some are answered never.
    for (let i = 0; i < 50; i++) {
      await setImmediate()
      const kinds = Object.values(await outgoing.kinds())
      if (kinds.reduce((sum, value) => sum + value, 0) !== begun) throw new Error('the books do not balance')
    }
    // A request in a client's queue takes the connection of the one that is ended.
    while (!state.over) {
      service.hangUp()
      await setImmediate()
    }
    await all
    await pool.destroy()
    const kinds = await outgoing.settled()
    outgoing.undo()
    for (const channel of BEGINS) unsubscribe(channel, count)
    return Object.values(kinds).reduce((sum, value) => sum + value, 0) === begun && !('in flight' in kinds)
  }), { numRuns: 30 })
})

t.test('HTTP/2', async (t) => {
  const server = createServer()
  server.on('sessionError', () => {})
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    if (headers[':path'] === '/reset') stream.close(2)
    else if (headers[':path'] === '/half') {
      stream.respond({ ':status': 200 })
      stream.write('half', () => { stream.close(2) })
    } else if (headers[':path'] === '/nothing') stream.respond({ ':status': 204 }, { endStream: true })
    else {
      stream.additionalHeaders({ ':status': 103 })
      stream.respond({ ':status': 200 })
      stream.end('hello')
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const to = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const outgoing = observedOutgoing(t)
  const client = new undici.H2CClient(to)
  t.teardown(() => client.destroy())
  const send = async (path: string) => (await client.request({ path, method: 'GET' })).body.text()
  await send('/text')
  await send('/nothing')
  t.same(await outgoing.settled(), { 'GET 200': 1, 'GET 204': 1 })
  // After a reset in the body, undici may take the answer for whole: it is counted as the application sees it.
  const seen = await Promise.allSettled([send('/reset'), send('/half'), send('/half')])
  t.equal(seen[0]?.status, 'rejected')
  const whole = seen.filter(({ status }) => status === 'fulfilled').length
  const kinds = await outgoing.settled()
  t.equal(kinds['GET 200'], 1 + whole)
  t.equal(Object.values(kinds).reduce((sum, value) => sum + value, 0), 5)
})
