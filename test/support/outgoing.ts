import { Registry } from 'prom-client'
import { setImmediate } from 'node:timers/promises'
import { instrumentOutgoing, type OutgoingOptions } from '../../adapters/undici.js'
import { Page } from './page.js'

/** The outgoing requests of this process, in a registry of their own; ended at teardown. */
export function observedOutgoing (t: { teardown (fn: () => unknown): void }, options: OutgoingOptions = {}): Outgoing {
  const registry = new Registry()
  const undo = instrumentOutgoing({ registry, ...options })
  t.teardown(undo)
  return new Outgoing(registry, undo)
}

export class Outgoing {
  constructor (readonly registry: Registry, readonly undo: () => void) {}

  async page (): Promise<Page> {
    return new Page(await this.registry.metrics())
  }

  /** How many requests there are of each kind: 'GET 200', 'GET ECONNREFUSED', 'in flight'. */
  async kinds (): Promise<Record<string, number>> {
    const page = await this.page()
    const kinds: Record<string, number> = {}
    const add = (kind: string, count: number) => { if (count !== 0) kinds[kind] = (kinds[kind] ?? 0) + count }
    for (const { labels, value } of page.of('http_client_request_duration_seconds_count')) add(`${labels.method} ${labels.status_code}`, value)
    for (const { labels, value } of page.of('http_client_request_errors_total')) add(`${labels.method} ${labels.type}`, value)
    add('in flight', page.sum('http_client_requests_in_flight'))
    return kinds
  }

  async hosts (): Promise<string[]> {
    return (await this.page()).values('http_client_requests_in_flight', 'host')
  }

  /** The kinds, once nothing is in flight. */
  async settled (): Promise<Record<string, number>> {
    for (;;) {
      const kinds = await this.kinds()
      if (kinds['in flight'] === undefined) return kinds
      await setImmediate()
    }
  }
}
