import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { Page } from './page.js'

/** Promise 1: received = finished + aborted + in flight, at every scrape. */
export function checkBooks (t: Test, page: Page): void {
  const received = page.sum('http_requests_received_total')
  t.equal(received, ended(page) + page.sum('http_requests_in_flight'), 'received = finished + aborted + in flight')
  t.equal(page.sum('http_requests_aborted_total'), ended(page, { status_code: '499' }), 'aborted are those of 499')
  t.equal(page.sum('metrics_instrumentation_errors_total'), 0, 'nothing went wrong inside')
}

/** The requests that ended with these labels. */
export function ended (page: Page, labels?: Record<string, string>): number {
  return page.sum('http_request_duration_seconds_count', labels)
}

/** Requests whose responses have all been closed, counted from now on: what a test waits for. */
export function closings (app: FastifyInstance, count: number): Promise<void> {
  return new Promise((resolve) => {
    app.server.on('request', (_request, response) => response.on('close', () => { if (--count === 0) setImmediate(resolve) }))
  })
}

/** The statuses that requests ended with, and how: '200', '499 aborted', '200 incomplete'. */
export function endings (page: Page): string[] {
  return page.of('http_request_duration_seconds_count').filter(({ value }) => value > 0).flatMap(({ labels, value }) => {
    const { method, route, status_code: status } = labels as { method: string, route: string, status_code: string }
    const how = [['http_requests_aborted_total', 'aborted'], ['http_responses_incomplete_total', 'incomplete']] as const
    const said = how.filter(([name]) => page.sum(name, { method, route }) > 0).map(([, word]) => ` ${word}`).join('')
    return Array<string>(value).fill(status + said)
  }).sort()
}
