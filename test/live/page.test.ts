import { Registry, Gauge as PromGauge } from 'prom-client'
import t from 'tap'
import { Counter, Histogram, type LiveNumbers, type LiveOptions } from '../../src/index.js'
import { openBrowser } from '../support/browser.js'
import { service } from '../support/http.js'
import { chart, isTooWide, legend, look, numberIn, numbersCome, problems, until } from '../support/live-page.js'
import type { Page } from '../support/page.js'
import { startService } from '../support/service.js'

/*
 * That the page tells the truth: in a real browser, against /metrics, with the demo and with registries that mean it no good.
 */
const FOREIGN_SERIES = 50_000
const HOSTILE = {
  html: '<img src=x onerror=window.pwned=1>',
  turned: '\u202Egnp.exe\u2066',
  long: 'x'.repeat(500)
}

/** A quantile as Prometheus computes it of two scrapes, https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile. */
function histogramQuantile (quantile: number, name: string, labels: Record<string, string>, after: Page, before: Page): number {
  const buckets = new Map<number, number>()
  const add = (page: Page, sign: 1 | -1) => {
    for (const { labels: { le = '' }, value } of page.of(`${name}_bucket`, labels)) {
      const bound = Number(le.replace('Inf', 'Infinity'))
      buckets.set(bound, (buckets.get(bound) ?? 0) + sign * value)
    }
  }
  add(after, 1)
  add(before, -1)
  const cumulative = [...buckets].sort(([a], [b]) => a - b)
  const rank = quantile * (cumulative.at(-1)?.[1] ?? 0)
  const at = cumulative.findIndex(([, count]) => count >= rank)
  const [upper, count] = cumulative[at] as [number, number]
  const [lower, below] = cumulative[at - 1] ?? [0, 0]
  return upper === Infinity ? lower : lower + (upper - lower) * (rank - below) / (count - below)
}

t.test('in a browser', { timeout: 120_000 }, async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return

  await t.test('the demo: all that is there to see, and what its counters say', async (t) => {
    const demo = await startService(t)
    const opened = performance.now()
    await look(t, browser, `${demo.url}/metrics/live`, {}, async (page) => {
      await numbersCome(page)
      t.comment(`first numbers after ${Math.round(performance.now() - opened)} ms`)
      t.equal(await page.locator('#connection').innerText(), 'live')
      // But for a busy machine, which makes the event loop late.
      t.equal(await problems(page).count(), 0, 'nothing is wrong')
      for (const metres of [300, 750, 1600]) await demo.walk(metres)
      await page.getByRole('heading', { name: 'Database', exact: true }).waitFor()
      await page.locator('#routes tbody tr').nth(2).waitFor()
      t.match(await page.locator('h1').innerText(), /^\S+ \d+\.\d+\.\d+$/, 'the name and the version of its package.json')
      t.same(await page.locator('h2').filter({ visible: true }).allInnerTexts(), [
        'What is wrong now', 'The last minute', 'Traffic', 'Database', 'Process', "This service's own metrics", 'What is left out'
      ])
      await chart(page, 'walks_started').scrollIntoViewIfNeeded()
      const metrics = await demo.metrics()
      for (const counter of ['walks_started', 'walks_completed']) {
        t.equal(metrics.sum(counter), 3)
        await legend(page, counter, 'all', 'total').getByText(/^3 in all$/).waitFor()
      }
      t.match(await chart(page, 'walks_started').locator('.help').innerText(), 'Walks that began.', 'the help is the caption')
      t.notOk(await isTooWide(page))
    })
  })

  await t.test('the numbers are those of /metrics', async (t) => {
    const registry = new Registry()
    const started = new Counter({ name: 'walks_started_total', help: 'Walks that began.', labelNames: ['size'], registers: [registry] })
    const distance = new Histogram({ name: 'walk_distance', help: 'Distance, in metres.', buckets: [100, 1000], registers: [registry] })
    started.inc({ size: 'small' }, 1_000_000)
    const before = Date.now()
    const { url, page: scrape } = await service(t, {
      options: { live: true, registry },
      routes: (app) => {
        app.get('/walks/:id', async (request) => {
          // From nothing to 90 ms, so that several buckets have some.
          await new Promise((resolve) => setTimeout(resolve, Number((request.params as { id: string }).id)))
          return 'ok'
        })
        app.get('/dogs', async () => 'ok')
      }
    })
    // It answers with the first sample, at the earliest.
    await fetch(`${url}/metrics/live.json`)
    const after = Date.now()
    const first = await scrape()
    await look(t, browser, `${url}/metrics/live`, {}, async (page) => {
      await numbersCome(page)
      await Promise.all(Array.from({ length: 40 }, async (_, i) => await fetch(`${url}/walks/${i * i % 91}`)))
      for (let i = 0; i < 10; i++) await fetch(`${url}/dogs`)
      started.inc({ size: 'small' }, 234_567)
      for (const [metres, times] of [[50, 1], [500, 2], [5000, 4]] as const) for (let i = 0; i < times; i++) distance.observe(metres)

      const metrics = await scrape()
      const p95 = histogramQuantile(0.95, 'http_request_duration_seconds', { route: '/walks/:id' }, metrics, first)
      const row = page.locator('#routes tbody tr').filter({ hasText: '/walks/:id' })
      const cell = async (column: number) => numberIn(await row.locator('td').nth(column).innerText())
      await row.waitFor()
      const written = `${Number((p95 * 1000).toPrecision(3))} ms`
      await row.getByText(written, { exact: true }).first().waitFor()
      t.equal(await cell(3), Number((p95 * 1000).toPrecision(3)) * 1e-3, `p95 of the route is ${p95}, to three digits`)
      t.equal(await cell(2), Number((histogramQuantile(0.5, 'http_request_duration_seconds', { route: '/walks/:id' }, metrics, first) * 1000).toPrecision(3)) * 1e-3, 'and p50')

      // The rate goes from the first sample, which is taken while the service starts, to the newest one.
      for (const [route, count] of [['/walks/:id', 40], ['/dogs', 10]] as const) {
        t.equal(metrics.sum('http_request_duration_seconds_count', { route }), count)
        const { time, routes } = await (await fetch(`${url}/metrics/live.json`)).json() as LiveNumbers
        const { rate } = routes.find((each) => each.route === route) ?? {}
        if (typeof rate !== 'number') throw new Error(`no rate of ${route}`)
        const [most, least] = [rate * (time - before) / 1000, rate * (time - after) / 1000]
        t.ok(least <= count + 0.01 && most >= count - 0.01, `${count} requests of ${route}: by rate and time ${least.toFixed(3)} to ${most.toFixed(3)}`)
      }
      const shown = await (await fetch(`${url}/metrics/live.json`)).json() as LiveNumbers
      const rates = await page.locator('#routes tbody tr').evaluateAll((rows) => rows.map((row) => [row.querySelector('bdi')?.textContent ?? '', row.querySelector('td')?.textContent ?? ''] as const))
      for (const [route, text] of rates) {
        const { rate } = shown.routes.find((each) => each.route === route) ?? {}
        // A sample may have come in between: it makes the time longer by what is between two samples.
        t.ok(Math.abs(numberIn(text) / (rate ?? 0) - 1) < 2.5 * 1000 / (shown.time - after) + 0.005, `${route} is shown as ${text}, which is ${rate}`)
      }

      await chart(page, 'walk_distance').scrollIntoViewIfNeeded()
      t.equal(metrics.sum('walks_started_total'), 1_234_567)
      await legend(page, 'walks_started_total', 'small', 'total').getByText(/^1,234,567 in all$/).waitFor()
      for (const [line, quantile] of [['p50', 0.5], ['p95', 0.95]] as const) {
        const wanted = histogramQuantile(quantile, 'walk_distance', {}, metrics, first)
        t.equal(numberIn(await legend(page, 'walk_distance', line, 'value').innerText()), wanted, `${line} of the own histogram is ${wanted}`)
      }

      const heat = chart(page, 'walk_distance, distribution')
      const over = heat.locator('.u-over')
      const { width, height } = await over.boundingBox() ?? { width: 0, height: 0 }
      for (const [row, words] of [[2, 'up to 100: 1'], [1, '100 to 1,000: 2'], [0, '1,000 to ∞: 4']] as const) {
        // A sample that has come meanwhile stands to the right of it.
        const seen = new Set<string>()
        for (let x = width - 1; x > width - 80 && !seen.has(words); x -= 2) {
          await over.hover({ position: { x, y: height * (row + 0.5) / 3 } })
          seen.add(await heat.locator('.words').innerText())
        }
        t.ok(seen.has(words), `${words}, among ${[...seen].join('; ')}`)
      }
    })
  })

  await t.test('labels and help that mean it no good are text', async (t) => {
    const registry = new Registry()
    const walks = new Counter({ name: 'walks_total', help: '</script><script>window.pwned=1</script>', labelNames: ['dog'], registers: [registry] })
    for (const dog of Object.values(HOSTILE)) walks.inc({ dog })
    const { url } = await service(t, { options: { live: true, registry }, routes: (app) => { app.get('/<b>:id', async () => 'ok') } })
    await fetch(`${url}/%3Cb%3E1`)
    await fetch(`${url}/${'x'.repeat(90)}`, { method: 'PROPFIND' })
    await look(t, browser, `${url}/metrics/live?range=5m&route=${encodeURIComponent(HOSTILE.html)}&method=%3Cb%3E`, { viewport: { width: 360, height: 740 } }, async (page) => {
      await numbersCome(page)
      await chart(page, 'walks_total').scrollIntoViewIfNeeded()
      await chart(page, 'walks_total').locator('.name').nth(2).waitFor()
      t.same(await chart(page, 'walks_total').locator('.name').allTextContents(), [HOSTILE.html, '\uFFFDgnp.exe\uFFFD', HOSTILE.long])
      t.equal(await chart(page, 'walks_total').locator('.help').textContent(), '</script><script>window.pwned=1</script>')
      t.equal(await page.locator('#chosen-route').textContent(), `<b> ${HOSTILE.html}`)
      t.match(await page.locator('#routes').textContent(), '/<b>:id')
      t.equal(await page.locator('main img, main b, main script').count(), 0)
      t.equal(await page.evaluate('window.pwned'), undefined)
      t.notOk(await isTooWide(page))
    })
  })

  await t.test(`with ${FOREIGN_SERIES} series of somebody else it can be used, and says what it leaves out`, async (t) => {
    const registry = new Registry()
    const foreign = new PromGauge({ name: 'foreign', help: 'Of somebody else.', labelNames: ['id'], registers: [registry] })
    for (let id = 0; id < FOREIGN_SERIES; id++) foreign.set({ id }, id)
    const { url } = await service(t, { options: { live: true, registry }, routes: (app) => { app.get('/dogs', async () => 'ok') } })
    const opened = performance.now()
    await look(t, browser, `${url}/metrics/live`, {}, async (page) => {
      await numbersCome(page)
      t.comment(`first numbers after ${Math.round(performance.now() - opened)} ms`)
      t.match(await page.locator('#left-out').innerText(), `foreign: ${FOREIGN_SERIES} series`)
      await fetch(`${url}/dogs`)
      await page.locator('#routes tbody').getByText('/dogs').waitFor()
      t.equal(await page.locator('#connection').innerText(), 'live')
    })
  })

  await t.test('events that are refused, on a page whose own address has a password: it asks for the JSON', async (t) => {
    const guard: LiveOptions['onRequest'] = async ({ url, headers }, reply) => {
      if (headers.authorization !== `Basic ${btoa('dogs:secret')}`) return await reply.code(401).header('www-authenticate', 'Basic').send()
      if (url.includes('/events')) return await reply.code(503).send()
    }
    const { url } = await service(t, { options: { live: { onRequest: guard } } })
    await look(t, browser, `${url.replace('//', '//dogs:secret@')}/metrics/live`, { expected: /status of 503/ }, async (page) => {
      await numbersCome(page)
      await until('the state', async () => await page.locator('#connection').innerText(), (text) => text === 'asking every 5 s')
      t.notMatch(await page.content(), 'secret')
    })
  })
})
