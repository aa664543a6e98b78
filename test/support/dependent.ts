import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { instrumentCache } from '../../adapters/cache.js'
import { instrumentOutgoing } from '../../adapters/undici.js'
import { metricsPlugin } from '../../src/index.js'
import type { Test } from './program.js'
import { startRedis } from './redis.js'

/** A service that has a cache and asks another service: what the dog-walking service does not. It runs in this process. */
export interface Dependent {
  /** Of its page, without a path. */
  readonly url: string
  /** What a target of Prometheus is. */
  readonly target: string
  /** The label `host` of the other service. */
  readonly host: string
  /** Hits, misses, answers, and answers that fail; an error of each kind. */
  everyday (): Promise<void>
}

/**
 * Starts it, on a real Redis; stopped at teardown. The other hosts that this process asks are not named.
 * @returns undefined where there is no Redis, which is said
 */
export async function startDependent (t: Test): Promise<Dependent | undefined> {
  const server = await startRedis(t)
  if (server === undefined) return undefined
  const registry = new Registry()
  const redis = new Redis({ port: server.port })
  t.teardown(() => { redis.disconnect() })
  t.teardown(instrumentCache(redis, { registry, backend: 'walks', nativeHistograms: true }))
  const called = await startCalled(t)
  t.teardown(instrumentOutgoing({ registry, hosts: [called.host], nativeHistograms: true }))
  const app = await startService(registry, redis, called.url)
  t.teardown(() => app.close())
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const target = url.slice('http://'.length)
  await redis.lpush('no-text', 'x')
  return {
    url,
    target,
    host: called.host,
    async everyday () {
      for (const path of ['/walks/1', '/walks/1', '/walks/2', '/broken', '/unavailable', '/no-text']) await app.inject(path)
      await redis.del('1', '2')
    }
  }
}

async function startService (registry: Registry, redis: Redis, called: string): Promise<FastifyInstance> {
  const app = Fastify({ logger: { level: 'info', stream: new Writable({ write (_line, _encoding, done) { done() } }) } })
  await app.register(metricsPlugin, {
    registry,
    nativeHistograms: true,
    build: { version: '1.2.3', commit: 'c0ffee' },
    metrics: { log_messages_total: true, http_request_outgoing_requests: true, http_request_outgoing_duration_seconds: true }
  })
  app.get<{ Params: { id: string } }>('/walks/:id', async ({ params: { id } }) => {
    const known = await redis.get(id)
    if (known !== null) return known
    const walk = await (await fetch(`${called}/walk`)).text()
    await redis.set(id, walk)
    return walk
  })
  // The other service breaks off, fails; the cache refuses.
  app.get('/broken', async () => (await fetch(`${called}/broken`)).text())
  app.get('/unavailable', async () => (await fetch(`${called}/unavailable`)).text())
  app.get('/no-text', () => redis.get('no-text'))
  return app
}

async function startCalled (t: Test): Promise<{ url: string, host: string }> {
  const server = createServer((request, response) => {
    if (request.url === '/broken') request.socket.destroy()
    else response.writeHead(request.url === '/unavailable' ? 503 : 200).end('a walk')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => new Promise((resolve) => { server.close(resolve).closeAllConnections() }))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url: `http://${host}`, host }
}
