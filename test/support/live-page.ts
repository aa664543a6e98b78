import { setTimeout as sleep } from 'node:timers/promises'
import axe from 'axe-core'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'

/** What the cases of a page need of a test. */
interface Test {
  same (found: unknown, wanted: unknown, ...message: [string]): boolean
}

interface Viewing extends BrowserContextOptions {
  /** What the browser may complain of. */
  readonly expected?: RegExp
}

/** How long a case waits for the page, in milliseconds. The page hears of the service every two seconds. */
export const PATIENCE = 15_000

/**
 * Looks at a page in a context of its own. It fails where the browser complains, of the policy of the page too, where a
 * script throws, and where anything is asked of another origin.
 */
export async function look (t: Test, browser: Browser, url: string, { expected, ...options }: Viewing, use: (page: Page) => Promise<void>): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce', ...options })
  context.setDefaultTimeout(PATIENCE)
  const { origin } = new URL(url)
  const faults: string[] = []
  const asked = new Set<string>()
  context.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && expected?.test(message.text()) !== true) faults.push(`${message.type()}: ${message.text()}`)
  })
  context.on('weberror', (error) => { faults.push(String(error.error())) })
  context.on('request', (request) => { if (!request.url().startsWith('data:')) asked.add(new URL(request.url()).origin) })
  try {
    const page = await context.newPage()
    await page.goto(url)
    await use(page)
    t.same(faults, [], 'the browser has nothing to complain of')
    t.same([...asked], [origin], 'nothing is asked of another origin')
  } finally {
    await context.close()
  }
}

/** Waits for the first numbers. */
export async function numbersCome (page: Page): Promise<void> {
  await page.locator('#tiles .tile:not(.none)').first().waitFor()
  await page.locator('#problems .unknown').waitFor({ state: 'detached' })
}

/**
 * Reads something of a page until it is as it should be. Playwright's own waiting needs eval, which the page forbids.
 * @throws Error that says what there is instead
 */
export async function until<T> (what: string, read: () => Promise<T>, holds: (value: T) => boolean, timeout = PATIENCE): Promise<void> {
  const end = performance.now() + timeout
  for (let value = await read(); !holds(value); value = await read()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}; there is ${JSON.stringify(value)}`)
    await sleep(25)
  }
}

/** The card of a chart. */
export function chart (page: Page, title: string): Locator {
  return page.locator('figure').filter({ has: page.getByRole('heading', { name: title, exact: true }) })
}

/** What the legend of a chart says of a line: 'value' is the newest one, or the one at the pointer. */
export function legend (page: Page, title: string, line: string, part: 'value' | 'total'): Locator {
  return chart(page, title).locator('.legend li').filter({ has: page.locator('.name').getByText(line, { exact: true }) }).locator(`.${part}`)
}

/** A point of a chart: its time, and what each line has there. */
export type Point = readonly [time: string, ...values: string[]]

/** All points of a chart, as the arrow keys tell them. */
export async function pointsOf (page: Page, title: string): Promise<Point[]> {
  const plot = chart(page, title).locator('.plot')
  await plot.scrollIntoViewIfNeeded()
  await plot.locator('canvas').waitFor()
  return await plot.evaluate((node) => {
    const press = (key: string) => node.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))
    const points: Array<[string, ...string[]]> = []
    for (press('Home'); points.length < 500; press('ArrowRight')) {
      const [time = '', ...values] = [...node.closest('figure')?.querySelectorAll('.moment, .legend .value') ?? []].map(({ textContent }) => textContent)
      if (time === '' || time === points.at(-1)?.[0]) break
      points.push([time, ...values])
    }
    press('Escape')
    return points
  })
}

/** How many columns of a chart have the colour of a mark. */
export async function marksOf (page: Page, title: string): Promise<number> {
  const canvas = chart(page, title).locator('canvas')
  await canvas.scrollIntoViewIfNeeded()
  return await canvas.evaluate((node) => {
    const { width, height } = node as HTMLCanvasElement
    const probe = document.body.appendChild(document.createElement('i'))
    probe.style.color = 'var(--mark)'
    const [red, green, blue] = getComputedStyle(probe).color.match(/\d+/g)?.map(Number) ?? []
    probe.remove()
    const copy = document.createElement('canvas')
    Object.assign(copy, { width, height })
    const context = copy.getContext('2d', { willReadFrequently: true })
    context?.drawImage(node as HTMLCanvasElement, 0, 0)
    const { data = [] } = context?.getImageData(0, 0, width, height) ?? {}
    const isMark = (x: number, y: number) => {
      const at = 4 * (y * width + x)
      return data[at] === red && data[at + 1] === green && data[at + 2] === blue && data[at + 3] === 255
    }
    // A mark is a dashed line from top to bottom.
    return Array.from({ length: width }, (_, x) => Array.from({ length: height }, (_, y) => isMark(x, y)).filter(Boolean).length)
      .filter((pixels) => pixels > height / 3).length
  })
}

/** What the browser makes of a style. */
export async function styleOf (element: Locator, property: string): Promise<string> {
  return await element.evaluate((node, name) => getComputedStyle(node).getPropertyValue(name), property)
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1, 'µs': 1e-6, 'ms': 1e-3, 's': 1, 'min': 60, 'h': 3600, '/s': 1, '/min': 1 / 60, '/h': 1 / 3600, '%': 0.01, 'KiB': 1024, 'MiB': 1024 ** 2
}

/** The number that a text of the page tells: '1,234', '12.3 ms', '4 /min'. @throws Error where there is none */
export function numberIn (text: string): number {
  const [digits = '', unit = ''] = text.trim().split(' ')
  const size = UNITS[unit]
  if (!/^[\d,.]+$/.test(digits) || size === undefined) throw new Error(`no number: '${text}'`)
  return Number(digits.replaceAll(',', '')) * size
}

/** Whether the page can be scrolled to the side. */
export async function isTooWide (page: Page): Promise<boolean> {
  return await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)
}

/** What axe says is serious or critical. */
export async function barriers (page: Page): Promise<string[]> {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run())
  return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 150)} ${failureSummary}`).join('; ')}`)
}

/** What the page says is wrong, but for an event loop that is late: a busy machine makes it so. */
export function problems (page: Page): Locator {
  return page.locator('[data-problem]:not([data-problem^="event-loop-lag"])')
}
