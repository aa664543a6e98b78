import { Registry } from 'prom-client'
import { Page } from '../support/page.js'
import { unavailable } from '../support/program.js'

/** The packages of this folder. @returns undefined where they are not installed, which is said */
export async function installed<M> (t: Parameters<typeof unavailable>[0], load: () => Promise<M>): Promise<M | undefined> {
  try {
    return await load()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    unavailable(t, 'the ORMs are not installed: npm ci --prefix test/orms')
    return undefined
  }
}

/** A registry for one database, and what its page says. */
export class Books {
  readonly registry = new Registry()

  async page (): Promise<Page> {
    return new Page(await this.registry.metrics())
  }

  /** The totals that every adapter has; of the errors, each type. */
  async totals (): Promise<{ queries: number, rows: number, errors: Record<string, number>, opened: number, closed: number, waits: number, trouble: number }> {
    const page = await this.page()
    return {
      queries: page.sum('db_query_duration_seconds_count'),
      rows: page.sum('db_rows_total'),
      errors: Object.fromEntries(page.of('db_query_errors_total').map(({ labels, value }) => [labels.type, value])),
      opened: page.sum('db_connections_opened_total'),
      closed: page.sum('db_connections_closed_total'),
      waits: page.sum('db_pool_acquire_duration_seconds_count'),
      trouble: page.sum('metrics_instrumentation_errors_total')
    }
  }

  /** The pool's numbers; an empty object where there is no pool. */
  async pool (): Promise<Record<string, number>> {
    const page = await this.page()
    return Object.fromEntries([
      ...page.of('db_pool_connections').map(({ labels, value }) => [labels.state, value]),
      ...page.of('db_pool_connections_max').map(({ value }) => ['max', value]),
      ...page.of('db_pool_pending_requests').map(({ value }) => ['pending', value])
    ])
  }
}

type Method = (this: unknown, ...args: unknown[]) => unknown

/**
 * Counts the calls of a method of a driver's class: the queries that were really sent.
 * @param counts whether a call is one
 */
export function calls (t: { teardown (fn: () => unknown): void }, prototype: object, name: string, counts: (...args: unknown[]) => boolean = () => true): { count: number } {
  const original = Reflect.get(prototype, name) as Method
  const counter = { count: 0 }
  Object.assign(prototype, {
    [name] (this: unknown, ...args: unknown[]) {
      if (counts(...args)) counter.count++
      return Reflect.apply(original, this, args)
    }
  })
  t.teardown(() => { Object.assign(prototype, { [name]: original }) })
  return counter
}

/** For the errors of a pool that has ended: its end() resolves before its connections are closed, and the server may be stopped then. */
export function ignore (): void {}

/** Whether a command of mysql2 is a query of its caller. */
export function isQuery (command: unknown): boolean {
  return ['Query', 'Execute'].includes((command as object).constructor.name)
}
