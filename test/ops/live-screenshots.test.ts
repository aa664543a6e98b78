import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import type { BrowserContextOptions } from 'playwright-core'
import t from 'tap'
import { keepTraffic } from '../../examples/dog-walking/traffic.js'
import { openBrowser } from '../support/browser.js'
import { look, numbersCome } from '../support/live-page.js'
import { startService } from '../support/service.js'

/*
 * The pictures of the live page in README and docs. With UPDATE_SCREENSHOTS set they are made anew, of the demo: in good times, and while
 * somebody locks a table.
 */
const UPDATE = process.env['UPDATE_SCREENSHOTS'] !== undefined
const GOOD_MS = 150_000
/** Longer than a request may hang until that is a problem, and shorter than what was before is out of the picture. */
const LOCKED_MS = 80_000
const VISITORS = 6
const MOST_BYTES = 250 * 1024

const DESK = { viewport: { width: 1440, height: 900 } }
const PICTURES: Readonly<Record<string, BrowserContextOptions & { viewport: { width: number, height: number } }>> = {
  light: { ...DESK, colorScheme: 'light' },
  dark: { ...DESK, colorScheme: 'dark' },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: 'light' },
  // Its list of problems is long, and the charts should be there as well.
  incident: { viewport: { width: 1440, height: 1080 }, colorScheme: 'light' }
}
const pathOf = (name: string) => fileURLToPath(new URL(`../../docs/images/live/${name}.png`, import.meta.url))

t.test('the pictures are made', { skip: !UPDATE && 'for UPDATE_SCREENSHOTS', timeout: 2 * (GOOD_MS + LOCKED_MS) }, async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const service = await startService(t)
  const live = `${service.url}/metrics/live`
  const picture = async (name: string) => {
    await look(t, browser, live, { timezoneId: 'UTC', ...PICTURES[name] }, async (page) => {
      await numbersCome(page)
      await page.locator('.plot canvas').first().waitFor()
      // The name of the host is none of the reader's. The next sample writes it again.
      const anonymous = () => page.locator('#about').evaluate((about) => { about.textContent = (about.textContent ?? '').replace(/^\S+/, 'dogs-1') })
      do {
        await anonymous()
        await page.screenshot({ path: pathOf(name), animations: 'disabled' })
      } while (!(await page.locator('#about').innerText()).startsWith('dogs-1'))
    })
  }
  const visitors = Array.from({ length: VISITORS }, () => keepTraffic(service.url))
  t.teardown(() => Promise.all(visitors.map((stop) => stop())))
  // Somebody looks, so that samples come as often as they then do.
  await look(t, browser, live, {}, async () => {
    await sleep(GOOD_MS)
    for (const name of ['light', 'dark', 'phone']) await picture(name)
    const other = new pg.Client(service.postgres.config)
    await other.connect()
    await other.query('BEGIN; LOCK TABLE walk IN ACCESS EXCLUSIVE MODE')
    // More than the pool has connections: those who have none wait in vain.
    const waiting = Array.from({ length: 8 }, () => service.visitor.open('/walks/complete'))
    await sleep(LOCKED_MS)
    await picture('incident')
    await other.query('ROLLBACK')
    await Promise.all(waiting)
    await other.end()
  })
})

t.test('they are as large as they should be, and are shown', async (t) => {
  const pages = ['README.md', 'docs/live.md'].map((page) => readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8')).join('')
  for (const [name, { viewport: { width, height } }] of Object.entries(PICTURES)) {
    const png = readFileSync(pathOf(name))
    // https://www.w3.org/TR/png-3/#11IHDR
    t.same([png.readUInt32BE(16), png.readUInt32BE(20)], [width, height], name)
    t.match(pages, `images/live/${name}.png`)
    t.ok(png.length <= MOST_BYTES, `${name}: ${png.length} bytes`)
  }
})
