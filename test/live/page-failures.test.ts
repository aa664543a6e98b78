import t from 'tap'
import { keepTraffic } from '../../examples/dog-walking/traffic.js'
import { openBrowser } from '../support/browser.js'
import { look, marksOf, numbersCome, pointsOf, problems, styleOf, until } from '../support/live-page.js'
import { Service, startService } from '../support/service.js'

/*
 * The page on the day when something is down: the database of the demo, and the demo itself.
 */
/** Milliseconds after which a database that is down must have been told. */
const TOLD = 5000

t.test('in a browser', { timeout: 180_000 }, async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const service = await startService(t)
  const stopTraffic = keepTraffic(service.url)
  t.teardown(stopTraffic)

  await look(t, browser, `${service.url}/metrics/live`, {}, async (page) => {
    const row = page.locator('[data-problem="database-down"]')
    let back = NaN

    await t.test('a database that is stopped is told', async (t) => {
      await numbersCome(page)
      await page.locator('#routes tbody tr').first().waitFor()
      t.equal(await problems(page).count(), 0, 'nothing is wrong')
      const stopping = performance.now()
      await service.postgres.stop()
      const stopped = performance.now()
      await until('the database', async () => await page.locator('#problems').innerText(), (text) => /connections? to the database|The database .* cannot be reached/.test(text), TOLD)
      t.comment(`told ${since(stopped)} after the database was gone, ${since(stopping)} after it was asked to stop`)
      await row.waitFor({ timeout: TOLD })
      t.comment(`'cannot be reached' ${since(stopped)} after it was gone`)
      t.match(await row.innerText(), /^critical The database .+ cannot be reached: \d+ connections failed/i)
      t.match(await row.innerText(), 'pg_isready', 'what to do first')
      t.match(await row.getByRole('link', { name: 'Runbook' }).getAttribute('href'), /docs\/runbook\.md#database-down$/)
      t.match(await page.locator('#news').textContent(), 'cannot be reached', 'assistive technology is told')
      t.match(await page.title(), /^\(\d\) /)
      await service.postgres.start()
      back = performance.now()
      await row.waitFor({ state: 'detached' })
      t.comment(`no longer told ${since(back)} after it was back`)
    })

    await t.test('a service that is gone: the page says since when, and goes on with the next one', async (t) => {
      const other = new Service(service.postgres)
      await other.start()
      t.teardown(() => other.stop())
      const port = Number(new URL(other.url).port)
      await look(t, browser, `${other.url}/metrics/live`, { expected: /Failed to load resource|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED/ }, async (page) => {
        await numbersCome(page)
        await other.everyday()
        await page.locator('#routes tbody tr').first().waitFor()
        await until('the mark of its start', () => marksOf(page, 'Requests'), (marks) => marks === 1)
        const digits = page.locator('#tiles .digits').first()
        t.equal(await styleOf(digits, 'font-style'), 'normal')
        await until('two points', () => pointsOf(page, 'Requests'), (points) => points.length >= 2)
        const before = await pointsOf(page, 'Requests')

        await other.stop('SIGKILL')
        await until('a connection that is lost', async () => await page.locator('#connection').innerText(), (text) => /^connection lost since \d\d:\d\d:\d\d, trying again$/.test(text))
        t.equal(await page.locator('#connection').getAttribute('role'), 'status')
        t.equal(await page.locator('#wrong-title').innerText(), 'What was wrong before the connection was lost')
        // A busy machine may have made requests slow, which is what was wrong before.
        if (await page.locator('[data-problem]').count() === 0) t.match(await page.locator('#problems').innerText(), 'Not known: the connection is lost.')
        t.match(await page.locator('#news').textContent(), 'the connection is lost')
        t.equal(await styleOf(digits, 'font-style'), 'italic', 'old numbers look old')
        t.equal(await styleOf(page.locator('canvas').first(), 'opacity'), '0.35')
        const lost = await pointsOf(page, 'Requests')
        t.same(lost.slice(0, before.length), before, 'what was there stays')

        await other.start(port)
        const started = performance.now()
        await until('a connection', async () => await page.locator('#connection').innerText(), (text) => text === 'live', 40_000)
        t.comment(`live ${since(started)} after the next one listened`)
        await until('a mark for each start', () => marksOf(page, 'Requests'), (marks) => marks === 2)
        t.equal(await styleOf(digits, 'font-style'), 'normal')
        const after = await pointsOf(page, 'Requests')
        t.same(after.slice(0, lost.length).map(([time]) => time), lost.map(([time]) => time), 'old points stay')
        t.ok(after.length > lost.length)
        t.ok(after.slice(lost.length).some(([, ...values]) => values.every((value) => value === '–')), 'a gap is between them')
      })
    })

    await t.test('a minute after the database is back, nothing is wrong', async (t) => {
      // What failed is of the last minute for a minute.
      await until('an end of the problems', async () => await problems(page).count(), (count) => count === 0, 90_000)
      t.comment(`green ${since(back)} after it was back`)
    })
  })
})

function since (time: number): string {
  return `${Math.round(performance.now() - time)} ms`
}
