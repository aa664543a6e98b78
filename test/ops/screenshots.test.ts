import type { Page } from 'playwright-core'
import t from 'tap'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { keepTraffic } from '../../examples/dog-walking/traffic.js'
import { openBrowser } from '../support/browser.js'
import { startPrometheus, type PrometheusConfig } from '../support/prometheus.js'
import { hurried } from '../support/rules.js'
import { startService } from '../support/service.js'

/*
 * What a person sees of it in Prometheus. With UPDATE_SCREENSHOTS set the pictures of docs/images are made anew, after some minutes of traffic.
 */
const UPDATE = process.env['UPDATE_SCREENSHOTS'] !== undefined
const TRAFFIC_MS = 240_000
const VIEWPORT = { width: 1280, height: 360 }

const pathOf = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url))
const config = parse(readFileSync(pathOf('examples/prometheus/prometheus.yml'), 'utf8')) as Required<PrometheusConfig>

const GRAPHS = {
  'requests by route': 'sum by (method, route) (rate(http_requests_received_total[1m]))',
  'walks an hour': '3600 * rate(walks_completed[2m])'
}

t.test('in a browser', { timeout: UPDATE ? 2 * TRAFFIC_MS : 120_000 }, async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const service = await startService(t, UPDATE ? 3000 : 0)
  const prometheus = await startPrometheus(t, {
    global: { scrape_interval: '2s', evaluation_interval: '2s' },
    rule_files: await hurried(t, config.rule_files.map((file) => pathOf(`examples/prometheus/${file}`))),
    scrape_configs: [{ ...config.scrape_configs[0], static_configs: [{ targets: [service.url.slice('http://'.length)] }] }]
  })
  if (prometheus === undefined) return
  await prometheus.scraped()
  await service.everyday()
  if (UPDATE) {
    const visitors = Array.from({ length: 4 }, () => keepTraffic(service.url))
    await sleep(TRAFFIC_MS)
    await Promise.all(visitors.map((stop) => stop()))
  }
  await service.everyday()
  await prometheus.scraped()
  await prometheus.evaluated()

  const page = await browser.newPage({ viewport: VIEWPORT })
  t.teardown(() => page.close())

  await t.test('the target is up', async (t) => {
    await page.goto(`${prometheus.url}/classic/targets`)
    await page.getByText('dog-walking (1/1 up)').waitFor()
    t.match(await page.locator('table').innerText(), /\/metrics\s+UP\s+instance="127\.0\.0\.1:\d+"\s+job="dog-walking"/)
    await picture(page, 'targets')
  })

  await t.test('the graphs have their series', async (t) => {
    const query = Object.values(GRAPHS).flatMap((expr, index) => [[`g${index}.expr`, expr], [`g${index}.tab`, '0'], [`g${index}.range_input`, '5m']])
    await page.goto(`${prometheus.url}/classic/graph?${new URLSearchParams(query).toString()}`)
    for (const text of ['{method="POST",route="/walks/start"}', '{method="GET",route="__unmatched__"}', 'instance="127.0.0.1']) await page.getByText(text).first().waitFor()
    t.equal(await page.locator('.rickshaw_graph svg').count(), 2)
    await page.evaluate('window.scrollTo(0, 0)')
    await picture(page, 'graph')
  })

  await t.test('the alerts are known', async (t) => {
    await page.goto(`${prometheus.url}/classic/alerts`)
    await page.getByText('HttpErrorsFastBurn').first().waitFor()
    for (const { name } of (await prometheus.evaluated()).filter(({ type }) => type === 'alerting')) t.match(await page.locator('body').innerText(), name)
  })
})

async function picture (page: Page, name: string): Promise<void> {
  if (UPDATE) await page.screenshot({ path: pathOf(`docs/images/${name}.png`), fullPage: true })
}
