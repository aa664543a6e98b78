import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { instrumentCache } from '../../adapters/cache.js'
import { instrumentOutgoing } from '../../adapters/undici.js'
import { metric } from '../../src/catalogue.js'
import { openBrowser } from '../support/browser.js'
import { service } from '../support/http.js'
import { barriers, chart, isTooWide, legend, look, numbersCome, pointsOf } from '../support/live-page.js'

/*
 * The page of a service that calls other ones and has a cache.
 */

/** A service that asks itself, and names one more host that fails. */
async function start (t: Test) {
  const registry = new Registry()
  const walks = new Map<string, string>([['Pixel', 'out']])
  const { url } = await service(t, {
    options: {
      live: true,
      runtime: true,
      registry,
      build: { version: '7.0.0', commit: '0123456789abcdef0123456789abcdef01234567' },
      observe: [(scope) => instrumentOutgoing(scope), (scope) => instrumentCache(walks, { ...scope, backend: 'walks' })]
    },
    routes: (app) => {
      app.get('/dogs', async () => 'ok')
      app.get('/walks', async () => {
        for (const dog of ['Pixel', 'Pixel', 'Pixel', 'Rex']) walks.get(dog)
        return await (await fetch(`${url}/dogs`)).text()
      })
    }
  })
  await (await fetch(`${url}/metrics/live.json`)).text()
  const errors = metric('http_client_request_errors_total', { registry })
  return {
    live: `${url}/metrics/live`,
    host: new URL(url).host,
    walk: async (times: number) => { for (let i = 0; i < times; i++) await (await fetch(`${url}/walks`)).text() },
    fail: (times: number) => { errors.inc({ method: 'GET', host: '<b>maps</b>', type: 'ECONNREFUSED' }, times) }
  }
}

t.test('in a browser', { timeout: 120_000 }, async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const headings = ['What is wrong now', 'The last minute', 'Traffic', 'Other services', 'Caches', 'Process', 'What is left out']

  await t.test('they have sections of their own as soon as there are numbers', async (t) => {
    const { live, host, walk, fail } = await start(t)
    await look(t, browser, live, {}, async (page) => {
      const visible = async () => await page.locator('h2').filter({ visible: true }).allInnerTexts()
      await numbersCome(page)
      t.match(await page.locator('h1').innerText(), /^\S+ 7\.0\.0$/)
      t.match(await page.locator('#about').innerText(), / · commit 0123456789ab$/)
      await walk(3)
      await page.getByRole('heading', { name: 'Other services', exact: true }).waitFor()
      await page.getByRole('heading', { name: 'Caches', exact: true }).waitFor()
      t.same(await visible(), headings)
      await chart(page, 'Hits').scrollIntoViewIfNeeded()
      await legend(page, 'Hits', 'walks', 'value').getByText('75 %', { exact: true }).waitFor()
      await chart(page, 'Outgoing failed').scrollIntoViewIfNeeded()
      await legend(page, 'Outgoing failed', host, 'value').getByText('0 %', { exact: true }).waitFor()
      t.ok((await pointsOf(page, 'Outgoing requests')).length > 0)
      const tile = (title: string) => page.locator('#tiles .tile').filter({ has: page.locator('dt').getByText(title, { exact: true }) })
      t.equal(await tile('Cache hits').locator('.digits').innerText(), '75')
      t.equal(await tile('Outgoing failed').locator('.digits').innerText(), '0')

      fail(20)
      const problem = page.locator('[data-problem="outgoing-request-errors"]')
      await problem.waitFor()
      t.match(await problem.innerText(), '100 % of the requests to <b>maps</b> failed in the last minute.')
      t.equal(await page.locator('main b').count(), 0, 'the name of a host is text')
      t.same(await barriers(page), [])
      t.notOk(await isTooWide(page))
    })
  })

  await t.test('in the dark, on a phone', async (t) => {
    const { live, walk } = await start(t)
    await walk(3)
    await look(t, browser, live, { viewport: { width: 360, height: 780 }, hasTouch: true, isMobile: true, colorScheme: 'dark' }, async (page) => {
      await page.getByRole('heading', { name: 'Caches', exact: true }).waitFor()
      await chart(page, 'Outgoing latency, p95').scrollIntoViewIfNeeded()
      await chart(page, 'Outgoing latency, p95').locator('canvas').waitFor()
      t.notOk(await isTooWide(page))
      t.same(await barriers(page), [])
    })
  })
})
