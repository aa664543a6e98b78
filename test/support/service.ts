import pg from 'pg'
import { once } from 'node:events'
import { request } from 'node:http'
import { choicesOf, Visitor } from '../../examples/dog-walking/visitor.js'
import { buildDemo, Demo } from './demo.js'
import { Page } from './page.js'
import { startPostgres, type Postgres } from './postgres.js'

/** What a test is to whoever starts a service for it. */
interface Test {
  teardown (fn: () => unknown): void
}

/** The most connections that TypeORM's pool has, and one more. */
const MORE_THAN_THE_POOL = 11

/**
 * Starts the dog-walking service as a container runs it, a process of its own, on a PostgreSQL of its own that is migrated and seeded; both stopped at teardown.
 * @param port to listen on; default: a free one
 */
export async function startService (t: Test, port = 0): Promise<Service> {
  await buildDemo()
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const service = new Service(postgres)
  const migration = new Demo(['--migrate', '--seed'], service.env)
  if (await migration.exit !== 0) throw new Error(`the migration failed: ${migration.err}`)
  await service.start(port)
  t.teardown(() => service.stop())
  return service
}

/** The service, those who visit it, and what can go wrong with it. */
export class Service {
  readonly postgres: Postgres
  readonly env: { readonly DATABASE_URL: string }
  url = ''
  #demo: Demo | undefined

  constructor (postgres: Postgres) {
    this.postgres = postgres
    this.env = { DATABASE_URL: `postgres://postgres:postgres@127.0.0.1:${postgres.port}/postgres` }
  }

  get visitor (): Visitor {
    return new Visitor(this.url)
  }

  async start (port = 0): Promise<void> {
    this.#demo = new Demo(['--serve'], { ...this.env, PORT: String(port) })
    this.url = await this.#demo.address()
  }

  async stop (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#demo?.child.kill(signal)
    await this.#demo?.exit
  }

  async metrics (): Promise<Page> {
    return new Page((await this.visitor.open('/metrics')).text)
  }

  /**
   * Starts a walk and completes it. Where other visitors have taken the dog meanwhile, or have completed the walk, it is
   * another walk.
   * @param metres how far they went
   */
  async walk (metres: number): Promise<void> {
    for (let tries = 1; ; tries++) {
      const { text } = await this.visitor.open('/walks/start')
      const [[walker], [dog]] = [choicesOf(text, 'walker'), choicesOf(text, 'dog')]
      if (walker === undefined || dog === undefined) throw new Error('no walker or no dog is there to start a walk with')
      const started = await this.visitor.send('/walks/start', { walker: walker.value, dog: dog.value })
      const { status } = started.status === 303
        ? await this.visitor.send('/walks/complete', { walk: started.location.replace('/#walk-', ''), distance: String(metres) })
        : started
      if (status === 303) return
      if (status !== 400 || tries === 10) throw new Error(`a walk was not completed: ${status}`)
    }
  }

  /** A little of everything: walks, wrong forms, each page, and one that is not there. */
  async everyday (): Promise<void> {
    for (const metres of [300, 750, 1600]) await this.walk(metres)
    await this.visitor.send('/walks/start', {})
    await this.visitor.send('/walks/complete', { walk: '1', distance: '-5' })
    for (const path of ['/', '/status', '/walks/complete', '/no-such-page']) await this.visitor.open(path)
  }

  /**
   * Somebody locks the walks. Those who ask get all the connections of the pool, one waits in vain for one more, one has its query canceled, and one leaves.
   */
  async lockedTable (): Promise<void> {
    const other = new pg.Client(this.postgres.config)
    await other.connect()
    try {
      await other.query('BEGIN; LOCK TABLE walk IN ACCESS EXCLUSIVE MODE')
      const waiting = Array.from({ length: MORE_THAN_THE_POOL }, () => this.visitor.open('/walks/complete'))
      await this.#until('a request that waited in vain', (page) => page.sum('db_pool_acquire_timeouts_total') > 0)
      await this.#leave('/walks/complete')
      await other.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' LIMIT 1")
      await this.#until('a query that was canceled', (page) => page.sum('db_query_errors_total') > 0)
      await other.query('ROLLBACK')
      await Promise.all(waiting)
    } finally {
      await other.end()
    }
  }

  /** The database stops, requests fail, and it is back. */
  async databaseDown (): Promise<void> {
    await this.postgres.stop()
    for (let i = 0; i < 3; i++) {
      await this.visitor.open('/')
      await this.visitor.open('/status')
    }
    await this.postgres.start()
    await this.visitor.open('/')
  }

  /** A visitor that goes away before it is answered. */
  async #leave (path: string): Promise<void> {
    const asked = request(this.url + path).on('error', () => {}).end()
    await once(asked, 'socket')
    const before = (await this.metrics()).sum('http_requests_aborted_total')
    await this.#until('the request of who will leave', (page) => page.sum('http_requests_in_flight') >= MORE_THAN_THE_POOL)
    asked.destroy()
    await this.#until('who left', (page) => page.sum('http_requests_aborted_total') > before)
  }

  /** The metrics tell. @throws Error where they do not */
  async #until (what: string, holds: (page: Page) => boolean): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      if (holds(await this.metrics())) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error(`waited in vain for ${what}`)
  }
}
