import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Test } from 'tap'
import type { Format } from '../../src/exposition/index.js'
import { Page } from './page.js'
import { startPrometheus, type Prometheus } from './prometheus.js'

/** The formats that Debian's Prometheus 2.42 reads. */
export type Scraped = Exclude<Format, 'openmetrics2'>

/*
 * A Prometheus for each format scrapes one service. A Prometheus asks for protobuf first where native histograms are
 * on, else for OpenMetrics. Debian's 2.42 has no setting that makes it ask for text, so the requests of the third
 * Prometheus lose their Accept header before they reach the endpoint, which then answers in text.
 */
const FEATURES: Readonly<Record<Scraped, readonly string[]>> = { protobuf: ['exemplar-storage', 'native-histograms'], openmetrics: ['exemplar-storage'], text: ['exemplar-storage'] }
export const FORMATS = Object.keys(FEATURES) as Scraped[]

/** A request that says its format where it comes from one of these Prometheus servers. */
export type FormatRequest = FastifyRequest<{ Querystring: { format?: unknown } }>

/** Takes the Accept header from the requests of the Prometheus that scrapes text. @param app that is not ready yet */
export function withoutAcceptForText (app: FastifyInstance): void {
  app.addHook('onRequest', async ({ query, raw }: FormatRequest) => {
    if (query.format === 'text') delete raw.headers.accept
  })
}

/**
 * Starts a Prometheus for each format, which scrapes a service every two seconds; stopped at teardown.
 * @param url of a service that was given to withoutAcceptForText
 * @returns undefined where there is no Prometheus on the PATH, which is said
 */
export async function startFormats (t: Test, url: string): Promise<Record<Scraped, Prometheus> | undefined> {
  const running = {} as Record<Scraped, Prometheus>
  for (const format of FORMATS) {
    const prometheus = await startPrometheus(t, {
      global: { scrape_interval: '2s', scrape_timeout: '2s' },
      scrape_configs: [{ job_name: 'dog-walking', params: { format: [format] }, static_configs: [{ targets: [url.slice('http://'.length)] }] }]
    }, ...FEATURES[format])
    if (prometheus === undefined) return undefined
    running[format] = prometheus
  }
  return running
}

/** Asserts that each Prometheus found the service at every scrape, refused no sample, and logged no warning. */
export async function everyScrapeWentWell (t: Test, running: Record<Scraped, Prometheus>): Promise<void> {
  for (const format of FORMATS) {
    const { [format]: prometheus } = running
    t.match(await prometheus.targets(), [{ health: 'up', lastError: '' }], format)
    t.equal(await prometheus.value('min_over_time(up[5m])'), 1, format)
    const itself = new Page(await (await fetch(`${prometheus.url}/metrics`)).text())
    for (const refused of ['sample_duplicate_timestamp', 'sample_out_of_bounds', 'sample_out_of_order', 'exemplar_out_of_order']) {
      t.same(itself.of(`prometheus_target_scrapes_${refused}_total`).map(({ value }) => value), [0], `${refused} in ${format}`)
    }
    t.same(prometheus.log.filter((line) => /level=(warn|error)/.test(line)), [], format)
  }
}
