import { build } from 'esbuild'
import pg from 'pg'
import { chromium, type Page } from 'playwright-core'
import t from 'tap'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { keepTraffic } from '../../examples/dog-walking/traffic.js'
import { startPrometheus, type Prometheus } from '../support/prometheus.js'
import { OF_SERVICE, hurried, rulesFolder } from '../support/rules.js'
import { startService, type Service } from '../support/service.js'

/*
 * Draws the dashboards with Grafana's own components, on data of the dog-walking service in good and in bad times, and looks for titles that
 * are cut and for numbers that nobody can read. A command of its own (npm run dashboards:pictures): it takes minutes, and its packages are
 * many. The pictures are in test/render/pictures/, and are there to be looked at. With UPDATE_SCREENSHOTS set those of the docs are made anew.
 */
const pathOf = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url))
const PICTURES = pathOf('test/render/pictures')
const RULES = OF_SERVICE.map((file) => join(rulesFolder, file))
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const WIDTH = 1440
/** How long good times last, and each of the bad. An alert with `for: 1m` fires within them. */
const GOOD_MS = 100_000
const BAD_MS = 75_000
/** More than the pool has connections. */
const MANY = 14
/** The pictures of docs/images/dashboards/, and of how many pixels from the top. */
const IN_DOCS: Readonly<Record<string, number>> = { 'good-overview': 1212, 'locked-overview': 1212, 'locked-database': 1172 }
const UPDATE = process.env['UPDATE_SCREENSHOTS'] !== undefined
const SCRAPE = { scrape_interval: '2s', scrape_timeout: '2s', evaluation_interval: '2s' }

interface Dashboard {
  readonly title: string
  readonly panels: readonly object[]
}

const folder = pathOf('examples/grafana/dashboards')
const dashboards = readdirSync(folder).filter((file) => file.endsWith('.json'))
  .map((file) => ({ name: file.replace('.json', ''), dashboard: JSON.parse(readFileSync(join(folder, file), 'utf8')) as Dashboard }))

t.test('the dashboards, drawn', { timeout: 1_200_000 }, async (t) => {
  const executablePath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'chromium')).find((path) => existsSync(path))
  if (executablePath === undefined) return t.fail('chromium is not on the PATH: apt-get install chromium')
  await rm(PICTURES, { recursive: true, force: true })
  await mkdir(PICTURES, { recursive: true })
  const browser = await chromium.launch({ executablePath, args: FLAGS })
  t.teardown(() => browser.close())
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 900 } })
  page.on('pageerror', (error) => t.fail(`in the page: ${error.stack}`))
  const bundle = await bundled()

  const service = await startService(t)
  const job = { job_name: 'dog-walking', static_configs: [{ targets: [service.url.slice('http://'.length)] }] }
  const config = { global: SCRAPE, rule_files: await hurried(t, RULES), scrape_configs: [job] }
  const nothing = await startPrometheus(t, { global: SCRAPE })
  const classic = await startPrometheus(t, config, 'exemplar-storage')
  const native = await startPrometheus(t, config, 'native-histograms')
  if (nothing === undefined || classic === undefined || native === undefined) return
  await classic.scraped()

  const draw = (scene: string, prometheus: Prometheus, minutes: number) => t.test(scene, async (t) => {
    await open(page, prometheus, bundle)
    for (const { name, dashboard } of dashboards) {
      const now = Math.floor(Date.now() / 1000)
      const wrong = await page.evaluate(([dashboard, scene]) => (window as unknown as { draw: (...args: unknown[]) => Promise<string[]> }).draw(dashboard, scene), [
        dashboard, { prometheus: prometheus.url, from: now - 60 * minutes, to: now, variables: { job: 'dog-walking' } }
      ] as const)
      t.same(wrong, [], `${name}: nothing is cut`)
      const picture = `${scene}-${name}`
      await page.locator('#dashboard').screenshot({ path: join(PICTURES, `${picture}.png`) })
      const height = IN_DOCS[picture]
      if (UPDATE && height !== undefined) await page.screenshot({ path: pathOf(`docs/images/dashboards/${picture}.png`), fullPage: true, clip: { x: 0, y: 0, width: WIDTH, height } })
    }
  })

  await draw('fresh', classic, 1)
  await draw('nothing', nothing, 5)
  const visitors = Array.from({ length: 4 }, () => keepTraffic(service.url))
  await service.everyday()
  await sleep(GOOD_MS)
  await draw('good', classic, 4)
  await draw('native', native, 4)
  await locked(service, () => draw('locked', classic, 5))
  await service.postgres.stop()
  await sleep(BAD_MS)
  await draw('database-down', classic, 7)
  await service.postgres.start()
  const port = Number(new URL(service.url).port)
  await service.stop()
  await sleep(20_000)
  await draw('process-down', classic, 8)
  await service.start(port)
  await sleep(40_000)
  await Promise.all(visitors.map((stop) => stop()))
  await draw('restarted', classic, 9)
  await sleep(60_000)
  await draw('no-traffic', classic, 10)
})

/** Somebody locks the walks, and all connections of the pool wait for them, while it is drawn. */
async function locked (service: Service, draw: () => Promise<unknown>): Promise<void> {
  const other = new pg.Client(service.postgres.config)
  await other.connect()
  await other.query('BEGIN; LOCK TABLE walk IN ACCESS EXCLUSIVE MODE')
  const waiting = Array.from({ length: MANY }, () => service.visitor.open('/walks/complete').catch(() => undefined))
  await sleep(BAD_MS)
  await draw()
  await other.query('ROLLBACK')
  await Promise.all(waiting)
  await other.end()
}

/** The page's code in one piece. */
async function bundled (): Promise<{ script: string, style: string }> {
  const dataUrls = Object.fromEntries(['.svg', '.png', '.ttf', '.woff', '.woff2'].map((extension) => [extension, 'dataurl' as const]))
  const { outputFiles } = await build({
    entryPoints: [pathOf('render/page.ts')],
    bundle: true,
    write: false,
    outdir: '/',
    format: 'iife',
    minify: true,
    define: { 'process.env.NODE_ENV': '"production"', 'process.env': '{}', global: 'window' },
    loader: dataUrls,
    alias: { 'react-custom-scrollbars-2': pathOf('render/scrollbars.ts') },
    logLevel: 'error'
  })
  const textOf = (extension: string) => outputFiles.find(({ path }) => path.endsWith(extension))?.text ?? ''
  return { script: textOf('.js'), style: textOf('.css') }
}

/** An empty page of the Prometheus, which may ask it, and in it what draws. */
async function open (page: Page, prometheus: Prometheus, { script, style }: { script: string, style: string }): Promise<void> {
  const own = `
    body { margin: 0; background: #111217; }
    #dashboard { position: relative; width: 100%; }
    .heading { color: #ccccdc; font: 500 16px Inter, Helvetica, Arial, sans-serif; display: flex; align-items: center; }
    .nothing { display: flex; height: 100%; align-items: center; justify-content: center; color: #ccccdc99; }
  `
  await page.goto(`${prometheus.url}/-/ready`)
  await page.setContent(`<!doctype html><style>${style}</style><style>${own}</style><div id="dashboard"></div>`)
  await page.addScriptTag({ content: script })
}
