import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import * as undici from 'undici'
import { observedOutgoing } from '../support/outgoing.js'

/** The service tells what it was told by whoever traces. */
const server = createServer((request, response) => {
  if (request.url === '/cut') response.destroy()
  else response.end(request.headers.traceparent)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
t.teardown(() => {
  server.close()
  server.closeAllConnections()
})
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const CHANNELS = ['undici:request:create', 'undici:request:headers', 'undici:request:trailers', 'undici:request:error', 'http.client.request.start', 'http.client.request.error', 'http.client.response.finish']

/** Instrumentation as OpenTelemetry's: it adds a header, keeps what it knows of each request, and may fail each time. */
function traced (fails: boolean): { readonly told: string[], end (): void } {
  const told: string[] = []
  const requests = new Map<object, number>()
  const listeners = CHANNELS.map((name) => [name, (message: unknown) => {
    const { request, ...more } = message as { request: { method: string, addHeader?: (name: string, value: string) => void } }
    if (!requests.has(request)) requests.set(request, requests.size)
    if (name.endsWith('create')) request.addHeader?.('traceparent', `trace-${requests.get(request)}`)
    told.push(`${name} ${request.method} ${requests.get(request)} ${Object.keys(more).join()}`)
    if (fails) throw new Error(`of ${name}`)
  }] as const)
  for (const [name, listener] of listeners) subscribe(name, listener)
  return { told, end () { for (const [name, listener] of listeners) unsubscribe(name, listener) } }
}

/** Does the same each time, and gives what the application has got. */
async function application (): Promise<unknown[]> {
  const agent = new undici.Agent()
  const settled: unknown[] = []
  for (const path of ['/', '/cut']) {
    for (const ask of [
      async () => (await undici.request(origin + path, { dispatcher: agent })).body.text(),
      async () => (await undici.fetch(origin + path, { dispatcher: agent })).text(),
      () => new Promise((resolve, reject) => get(origin + path, { agent: false }, (response) => response.toArray().then((chunks) => { resolve(chunks.join('')) }, reject)).on('error', reject))
    ]) settled.push(await ask().catch((error: NodeJS.ErrnoException) => [String(error), error.code]))
  }
  await agent.destroy()
  return settled
}

t.test('who traces, and whoever else observes, see what they would see alone', async (t) => {
  const uncaught: string[] = []
  const listeners = process.listeners('uncaughtException')
  // tap listens too, and what a subscriber throws is the process' own.
  process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => { uncaught.push(error.message) })
  t.teardown(() => {
    process.removeAllListeners('uncaughtException')
    for (const listener of listeners) process.on('uncaughtException', listener)
  })
  const alone = observedOutgoing(t)
  await application()
  const counted = await alone.settled()
  alone.undo()
  t.same(counted, { 'GET 200': 3, 'GET UND_ERR_SOCKET': 2, 'GET ECONNRESET': 1 })

  for (const fails of [false, true]) {
    const tracer = traced(fails)
    const bare = await application()
    tracer.end()
    const thrown = uncaught.splice(0)
    t.match(bare, ['trace-0', 'trace-1'])
    t.equal(thrown.length, fails ? tracer.told.length : 0)
    for (const first of ['the tracer', 'ours']) {
      const before = first === 'ours' ? observedOutgoing(t) : undefined
      const another = traced(fails)
      const outgoing = before ?? observedOutgoing(t)
      t.same(await application(), bare, `the application, ${first} first`)
      t.same(await outgoing.settled(), counted, `ours, ${first} first`)
      t.same(another.told, tracer.told, `the tracer, ${first} first`)
      t.same(uncaught.splice(0), thrown)
      outgoing.undo()
      another.end()
    }
  }
})

t.test('a thread counts its own requests', async (t) => {
  const outgoing = observedOutgoing(t)
  const worker = new Worker(new URL('undici-thread.ts', import.meta.url), { workerData: origin, execArgv: process.execArgv })
  const [counted] = await once(worker, 'message')
  t.same(counted, { 'GET 200': 2 })
  t.same(await outgoing.kinds(), {})
  await worker.terminate()
})
