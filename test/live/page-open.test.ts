import type { CDPSession, Locator, Page } from 'playwright-core'
import t from 'tap'
import { openBrowser } from '../support/browser.js'
import { chart, look, pointsOf, until } from '../support/live-page.js'
import { BUCKETS, countOf, LiveServer, SPAN, STEP, timeOf } from '../support/live-server.js'

/*
 * A page that stays open, which is told a story: what is under the pointer, and what it keeps.
 */
const HEATMAP = 'walk_seconds, distribution'
/** From bottom to top. */
const ROWS = ['up to 100 ms', '100 ms to 500 ms', '500 ms to 1 s', '1 s to ∞']
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone: 'UTC' })

async function told (page: Page, step: number): Promise<void> {
  await until(`step ${step}`, async () => await page.locator('#tiles .digits').innerText(), (digits) => digits === step.toLocaleString('en'), 60_000)
  // What came is drawn with the next frame.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
}

/** The opacity of the cell's colour at a place of a plot. */
async function darkness (plot: Locator, x: number, y: number): Promise<number> {
  return await plot.evaluate((node, [x, y]) => {
    const canvas = node.querySelector('canvas') as HTMLCanvasElement
    const over = node.querySelector('.u-over') as HTMLElement
    const [ratio, box, inner] = [devicePixelRatio, canvas.getBoundingClientRect(), over.getBoundingClientRect()]
    const copy = document.createElement('canvas')
    Object.assign(copy, { width: canvas.width, height: canvas.height })
    const context = copy.getContext('2d', { willReadFrequently: true })
    context?.drawImage(canvas, 0, 0)
    return (context?.getImageData((inner.left - box.left + x) * ratio, (inner.top - box.top + y) * ratio, 1, 1).data[3] ?? 0) / 255
  }, [x, y] as const)
}

async function sizes (session: CDPSession): Promise<{ heap: number, nodes: number, listeners: number }> {
  await session.send('HeapProfiler.collectGarbage')
  const { metrics } = await session.send('Performance.getMetrics')
  const of = (wanted: string) => metrics.find(({ name }) => name === wanted)?.value ?? NaN
  return { heap: of('JSHeapUsedSize'), nodes: of('Nodes'), listeners: of('JSEventListeners') }
}

t.test('in a browser', { timeout: 120_000 }, async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return

  await t.test('the bucket under the pointer, and what it has counted then', async (t) => {
    const server = new LiveServer()
    await look(t, browser, await server.listen(t), { timezoneId: 'UTC' }, async (page) => {
      const heatmap = chart(page, HEATMAP)
      const words = heatmap.locator('.words')
      const over = heatmap.locator('.u-over')
      await server.tell(60)
      await told(page, 60)
      await heatmap.scrollIntoViewIfNeeded()
      await over.waitFor()
      const { width, height } = await over.boundingBox() ?? { width: 0, height: 0 }
      // 60 steps fill the plot: the cell of a step ends at its time.
      const cell = width / 60
      for (const step of [2, 17, 43, 60]) {
        for (const [bucket, range] of ROWS.entries()) {
          const y = height * (1 - (bucket + 0.5) / BUCKETS.length)
          for (const part of [0.2, 0.8]) {
            await over.hover({ position: { x: (step - 1 + part) * cell, y } })
            t.same([await heatmap.locator('.moment').innerText(), await words.innerText()], [clock.format(timeOf(step)), `${range}: ${countOf(step, bucket)}`], `step ${step}, bucket ${bucket}, at ${part} of its cell`)
          }
        }
      }
      // The darker the more: 20 of at most 603, and 600.
      const [light, dark] = [await darkness(heatmap.locator('.plot'), 1.5 * cell, height * 0.9), await darkness(heatmap.locator('.plot'), 59.5 * cell, height * 0.9)]
      t.ok(light > 0.1 && light < 0.5, `${light}`)
      t.ok(dark > 0.9, `${dark}`)

      // The pointer rests, and the picture moves on below it: 15 steps more, and the axis has room for 75.
      await over.hover({ position: { x: 10.7 * cell, y: height * 0.9 } })
      await server.tell(75)
      await told(page, 75)
      const step = Math.ceil(10.7 / 60 * 75)
      await until('the words of what is there now', async () => await words.innerText(), (text) => text === `${ROWS[0]}: ${countOf(step, 0)}`)

      // Elsewhere the words are of all buckets, at the moment that the pointer of the other chart has.
      await heatmap.locator('.plot').focus()
      await page.mouse.move(0, 0)
      await page.keyboard.press('End')
      t.equal(await words.innerText(), `${4 * 750 + 6} in this step`.replace('3006', '3,006'))
      await page.keyboard.press('ArrowLeft')
      t.equal(await words.innerText(), `${4 * 740 + 6} in this step`.replace('2966', '2,966'))
      t.equal(await heatmap.locator('.moment').innerText(), clock.format(timeOf(75) - STEP))
    })
  })

  await t.test('two databases with the same problem are two problems', async (t) => {
    const server = new LiveServer()
    await look(t, browser, await server.listen(t), {}, async (page) => {
      const said = page.locator('#problems .said')
      for (const step of [10, 15]) {
        await server.tell(step)
        await told(page, step)
        t.same(await said.allInnerTexts(), [`CRITICAL cats failed ${step} times.`, `CRITICAL dogs failed ${step} times.`])
      }
      await server.tell(20)
      await told(page, 20)
      t.equal(await page.locator('#problems').innerText(), '✓Nothing is wrong.')
    })
  })

  await t.test('it does not grow with what it is told', async (t) => {
    const server = new LiveServer()
    await look(t, browser, await server.listen(t), {}, async (page) => {
      const session = await page.context().newCDPSession(page)
      await session.send('Performance.enable')
      const grown = async (steps: number) => {
        await server.tell(steps)
        await told(page, steps)
        return await sizes(session)
      }
      await chart(page, HEATMAP).scrollIntoViewIfNeeded()
      // Both are at the same place of the story, so that the same is there.
      const first = await grown(450)
      const second = await grown(2050)
      t.comment(`after 450 events ${JSON.stringify(first)}, after 2,050 ${JSON.stringify(second)}`)
      t.equal((await pointsOf(page, 'Requests')).length, SPAN / STEP + 1, 'the points of the range')
      // Some may wait to be collected. One that each event leaves would make 1,600 more.
      t.ok(second.nodes <= first.nodes * 1.2, `${first.nodes} nodes, and then ${second.nodes}`)
      t.ok(second.listeners <= first.listeners + 50, `${first.listeners} listeners, and then ${second.listeners}`)
      t.ok(second.heap <= first.heap * 1.3, `${first.heap} bytes, and then ${second.heap}`)
    })
  })
})
