import type { Test } from 'tap'
import { ended } from './books.js'
import { Page } from './page.js'

declare module 'fastify' {
  /** What neighbours read of a route's config and have no type for, as docs/other-plugins.md says. */
  interface FastifyContextConfig {
    pressureHandler?: () => void
    cors?: false
    public?: boolean
  }
}

/** Where a neighbour is registered: before the plugin, or after it. */
export const ORDERS = ['before', 'routes'] as const

/** Seconds after which a request that is still in flight is one that nobody will end. */
const PATIENCE = 20

/** The page of a service, as a scraper gets it, once every other request is over. @throws Error where one never is */
export async function scrape (url: string): Promise<Page> {
  const deadline = performance.now() + PATIENCE * 1000
  for (;;) {
    const answer = await fetch(`${url}/metrics`)
    const text = await answer.text()
    if (answer.status !== 200) throw new Error(`${url}/metrics is answered ${answer.status}: ${text}`)
    const page = new Page(text)
    if (page.sum('http_requests_in_flight') === 0) return page
    if (performance.now() > deadline) throw new Error(`in flight for ${PATIENCE} s:\n${text.split('\n').filter((line) => /^http_requests_in_flight.*[1-9]$/.test(line)).join('\n')}`)
  }
}

/** Asks for a path, reads the answer to its end, and gives its status. */
export async function ask (url: string, path: string, init?: RequestInit): Promise<number> {
  const answer = await fetch(url + path, init)
  await answer.arrayBuffer()
  return answer.status
}

/** Asserts that every request received is finished or in flight, and that nothing went wrong inside. */
export function checkBooks (t: Test, page: Page, received: number): void {
  t.equal(page.sum('http_requests_received_total'), received, `${received} received`)
  t.equal(ended(page) + page.sum('http_requests_in_flight'), received, 'each is finished or in flight')
  t.equal(page.sum('metrics_instrumentation_errors_total'), 0, 'nothing went wrong inside')
}
