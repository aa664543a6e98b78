import { Registry } from 'prom-client'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { Counter, Histogram } from '../../src/index.js'
import { openBrowser } from '../support/browser.js'
import { service } from '../support/http.js'
import { barriers, chart, isTooWide, look, numbersCome, pointsOf, styleOf, until } from '../support/live-page.js'

/*
 * That the page can be used: by two at once, from a link, on a phone, in the dark, by keyboard, and with a screen reader.
 */
const PHONES = [360, 390]

/** A service with a few routes, of which one fails, and metrics of its own. */
async function start (t: Test) {
  const registry = new Registry()
  const started = new Counter({ name: 'walks_started_total', help: 'Walks that began.', labelNames: ['size'], registers: [registry] })
  const distance = new Histogram({ name: 'walk_distance', help: 'Distance, in metres.', buckets: [100, 1000], registers: [registry] })
  const { url } = await service(t, {
    options: { live: true, registry },
    routes: (app) => {
      app.get('/walks/:id', async () => 'ok')
      app.get('/dogs', async () => 'ok')
      app.get('/broken', async () => { throw new Error('broken') })
    }
  })
  const visit = async (path: string, times = 1) => { for (let i = 0; i < times; i++) await (await fetch(url + path)).text() }
  const walk = async () => {
    started.inc({ size: 'small' })
    distance.observe(500)
    await visit('/walks/7', 3)
    await visit('/dogs')
  }
  // It has its first sample, which what follows is counted from.
  await visit('/metrics/live.json')
  await walk()
  return { url, live: `${url}/metrics/live`, visit, walk }
}

/** Waits until the first chart has some points. */
async function pointsCome (page: Page, count: number): Promise<void> {
  await until(`${count} points`, async () => (await pointsOf(page, 'Requests')).length, (points) => points >= count)
}

t.test('in a browser', { timeout: 120_000 }, async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return

  await t.test('a refresh loses nothing, and a second one who looks sees the same', async (t) => {
    const { live, walk } = await start(t)
    await look(t, browser, live, {}, async (page) => {
      await numbersCome(page)
      await pointsCome(page, 2)
      await walk()
      await pointsCome(page, 4)
      const before = await pointsOf(page, 'Requests')
      t.ok(before.some(([, ...values]) => values.some((value) => /[1-9]/.test(value))), 'some are not 0')
      await page.reload()
      await pointsCome(page, before.length)
      t.same((await pointsOf(page, 'Requests')).slice(0, before.length), before)
      await look(t, browser, live, {}, async (other) => {
        await pointsCome(other, before.length)
        t.same((await pointsOf(other, 'Requests')).slice(0, before.length), before)
        for (const selector of ['#about', '#service', '#route-count', '#left-out']) t.equal(await other.locator(selector).innerText(), await page.locator(selector).innerText(), selector)
      })
    })
  })

  await t.test('the address says what is shown, and the back button goes back', async (t) => {
    const { live } = await start(t)
    await look(t, browser, `${live}?range=1h&route=%2Fwalks%2F%3Aid&method=GET`, {}, async (page) => {
      const pressed = page.locator('[data-range][aria-pressed="true"]')
      const chosen = page.locator('#routes a[aria-current]')
      await numbersCome(page)
      t.equal(await pressed.innerText(), 'Hour')
      t.equal(await page.locator('#chosen-route').innerText(), 'GET /walks/:id')
      t.same(await chosen.allInnerTexts(), ['GET /walks/:id'])
      t.match(await page.locator('#json').getAttribute('href'), 'live.json?range=1h&route=%2Fwalks%2F%3Aid&method=GET')

      const asked = page.waitForRequest(/\/metrics\/live\/events/)
      await page.getByRole('button', { name: '5 minutes' }).click()
      t.match(new URL((await asked).url()).search, '?range=5m&route=%2Fwalks%2F%3Aid&method=GET')
      await page.getByRole('link', { name: 'GET /dogs' }).click()
      await page.locator('#chosen-route').getByText('GET /dogs').waitFor()
      t.match(page.url(), /\?range=5m&route=%2Fdogs&method=GET$/)
      await page.getByRole('link', { name: 'All routes' }).click()
      await page.locator('#chosen').waitFor({ state: 'hidden' })
      t.match(page.url(), /\?range=5m$/)

      await page.goBack()
      await page.locator('#chosen-route').getByText('GET /dogs').waitFor()
      await page.goBack()
      await page.locator('#chosen-route').getByText('GET /walks/:id').waitFor()
      await page.goBack()
      t.equal(await pressed.innerText(), 'Hour')
      await page.goForward()
      t.equal(await pressed.innerText(), '5 minutes')
      t.equal(await page.locator('#chosen-route').innerText(), 'GET /walks/:id')
      await until('charts of that route', async () => (await pointsOf(page, 'Requests')).length, (points) => points > 0)
    })
  })

  await t.test('everything can be reached by keyboard, and it is seen where one is', async (t) => {
    const { live } = await start(t)
    await look(t, browser, live, {}, async (page) => {
      await numbersCome(page)
      await page.getByRole('link', { name: 'GET /dogs' }).waitFor()
      await page.locator('.plot canvas').first().waitFor()
      const seen: string[] = []
      const unseen: string[] = []
      for (let stops = 0; stops < 60; stops++) {
        await page.keyboard.press('Tab')
        const stop = await page.evaluate(() => {
          const node = document.activeElement as HTMLElement
          const { outlineStyle, outlineWidth } = getComputedStyle(node)
          const { width, height, left } = node.getBoundingClientRect()
          const name = node.dataset['range'] ?? (node.id !== '' ? node.id : node.className !== '' ? node.className : node.textContent ?? '')
          return { name, isSeen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 && width > 0 && height > 0 && left >= 0 }
        })
        seen.push(stop.name)
        if (!stop.isSeen) unseen.push(stop.name)
        if (stop.name === 'json') break
      }
      t.same(unseen, [], 'the focus is visible')
      for (const name of ['skip', 'pause', '5m', '1h', '1d', 'filter', 'plot', 'table-box', 'GET /dogs', 'json']) t.ok(seen.includes(name), `${name} among ${seen.join()}`)

      await page.locator('#filter').focus()
      await page.keyboard.type('dog')
      await page.locator('#route-count').getByText(/^1 of \d routes$/).waitFor()
      t.equal(await page.locator('#routes tbody tr').count(), 1)
      for (let stops = 0; stops < 12 && await page.evaluate(() => document.activeElement?.textContent) !== 'GET /dogs'; stops++) await page.keyboard.press('Tab')
      await page.keyboard.press('Enter')
      await page.locator('#chosen-route').getByText('GET /dogs').waitFor()

      await page.getByRole('button', { name: 'Hour' }).focus()
      await page.keyboard.press('Space')
      t.equal(await page.locator('[data-range][aria-pressed="true"]').innerText(), 'Hour')
      await page.getByRole('button', { name: 'Pause' }).focus()
      await page.keyboard.press('Enter')
      t.match(await page.locator('#paused').innerText(), /^paused at \d\d:\d\d:\d\d$/)
    })
  })

  await t.test('in the dark, in the light, and on a phone', async (t) => {
    const { live } = await start(t)
    const lightness = async (page: Page) => Math.max(...(await styleOf(page.locator('body'), 'background-color')).match(/\d+/g)?.map(Number) ?? [])
    for (const colorScheme of ['light', 'dark'] as const) {
      await look(t, browser, live, { colorScheme }, async (page) => {
        const isLight = async () => await lightness(page) > 127
        await numbersCome(page)
        t.equal(await isLight(), colorScheme === 'light', `${colorScheme}, as the system`)
        await page.getByRole('button', { name: colorScheme === 'light' ? 'Dark' : 'Light', exact: true }).click()
        t.equal(await isLight(), colorScheme !== 'light', 'as chosen')
        await page.reload()
        t.equal(await isLight(), colorScheme !== 'light', 'and still after a refresh')
        await page.getByRole('button', { name: 'Auto' }).click()
        t.equal(await isLight(), colorScheme === 'light')
      })
    }
    for (const width of PHONES) {
      await look(t, browser, `${live}?range=5m&route=%2Fwalks%2F%3Aid&method=GET`, { viewport: { width, height: 780 }, hasTouch: true, isMobile: true }, async (page) => {
        await numbersCome(page)
        await chart(page, 'walk_distance, distribution').scrollIntoViewIfNeeded()
        await chart(page, 'walk_distance, distribution').locator('canvas').waitFor()
        t.notOk(await isTooWide(page), `${width} px`)
        const wide = await page.evaluate(() => [...document.querySelectorAll('main figure, header *')].filter((node) => node.getBoundingClientRect().right > innerWidth + 0.5).map(({ outerHTML }) => outerHTML.slice(0, 80)))
        t.same(wide, [], 'nothing hangs over the edge')
      })
    }
  })

  await t.test('axe finds nothing serious', async (t) => {
    const { live, visit } = await start(t)
    const light = { colorScheme: 'light' } as const
    const dark = { colorScheme: 'dark' } as const
    const phone = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true }
    const route = '?range=5m&route=%2Fbroken&method=GET'
    const cases = [['light', light, ''], ['dark', dark, ''], ['a phone', { ...phone, ...light }, '']] as const
    for (const [name, options] of cases) {
      await look(t, browser, live, options, async (page) => {
        await numbersCome(page)
        await page.locator('.plot canvas').first().waitFor()
        t.same(await barriers(page), [], name)
      })
    }
    await visit('/broken', 10)
    for (const [name, options] of cases) {
      await look(t, browser, live + route, options, async (page) => {
        await page.locator('[data-problem="http-errors"]').waitFor()
        await page.locator('.plot canvas').first().waitFor()
        t.same(await barriers(page), [], `${name}, with a problem and a route that is chosen`)
      })
    }
  })
})
