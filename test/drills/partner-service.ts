import Fastify from 'fastify'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { Registry } from 'prom-client'
import { instrumentPool } from '../../adapters/pg.js'
import { metricsPlugin } from '../../src/index.js'
import type { Test } from '../support/program.js'
import type { Patient } from './drill.js'

/** What the partner does with whoever asks it. */
export type Mood = 'well' | 'fails' | 'hangs' | 'slow'

const SLOW_MS = 900
export const ROUTES = 40

/** Services that ask a partner before they answer: one that can fail, hang, or take its time. */
export class PartnerService implements Patient {
  readonly targets: string[] = []
  mood: Mood = 'well'
  /** Which part of the requests the mood is about. */
  share = 1
  readonly #held = new Set<ServerResponse>()
  #visits = 0
  readonly #stops: Array<() => Promise<unknown>> = []

  /** @param processes how many there are */
  static async start (t: Test, processes = 1, database?: pg.PoolConfig): Promise<PartnerService> {
    const service = new PartnerService()
    const partner = createServer((_request, response) => { service.#answer(response).catch(() => response.destroy()) }).listen(0, '127.0.0.1')
    await once(partner, 'listening')
    t.teardown(() => { partner.closeAllConnections(); partner.close() })
    const address = `http://127.0.0.1:${(partner.address() as AddressInfo).port}/`
    for (let i = 0; i < processes; i++) await service.#open(t, address, database)
    return service
  }

  /** Visits a route on one process after the other. */
  async visit (): Promise<void> {
    const route = this.#visits % ROUTES
    const target = this.targets[this.#visits++ % this.targets.length] ?? ''
    const response = await fetch(`http://${target}/partner/${route}`)
    await response.arrayBuffer()
  }

  /** Stops the last of the processes. */
  async stopOne (): Promise<void> {
    await this.#stops.pop()?.()
    this.targets.pop()
  }

  /** Answers all whom the partner holds. */
  release (): void {
    this.mood = 'well'
    for (const response of this.#held) response.end('well')
    this.#held.clear()
  }

  async #answer (response: ServerResponse): Promise<void> {
    const mood = Math.random() < this.share ? this.mood : 'well'
    if (mood === 'hangs') {
      this.#held.add(response)
      return
    }
    if (mood === 'slow') await sleep(SLOW_MS)
    response.writeHead(mood === 'fails' ? 503 : 200).end(mood)
  }

  async #open (t: Test, partner: string, database?: pg.PoolConfig): Promise<void> {
    const app = Fastify()
    const registry = new Registry()
    await app.register(metricsPlugin, { registry })
    for (let i = 0; i < ROUTES; i++) {
      app.get(`/partner/${i}`, async (_request, reply) => {
        const { ok } = await fetch(partner)
        return reply.code(ok ? 200 : 502).send({ ok })
      })
    }
    app.get('/events', { config: { metrics: { longLived: true } } }, (_request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
      const beat = setInterval(() => reply.raw.write('data: woof\n\n'), 1000)
      reply.raw.once('close', () => clearInterval(beat))
    })
    if (database !== undefined) {
      const pool = new pg.Pool(database)
      instrumentPool(pool, { registry })
      pool.on('error', () => {})
      await pool.query('CREATE TABLE IF NOT EXISTS name (name text PRIMARY KEY)')
      await pool.query("INSERT INTO name VALUES ('Pixel') ON CONFLICT DO NOTHING")
      app.post('/names', async (_request, reply) => {
        try {
          await pool.query("INSERT INTO name VALUES ('Pixel')")
        } catch {
          return reply.code(409).send()
        }
      })
      t.teardown(() => pool.end())
    }
    await app.listen({ port: 0, host: '127.0.0.1' })
    const stop = async () => { app.server.closeAllConnections(); await app.close() }
    this.#stops.push(stop)
    t.teardown(stop)
    this.targets.push(`127.0.0.1:${(app.server.address() as AddressInfo).port}`)
  }
}
