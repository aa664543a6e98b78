// Milliseconds until a browser shows numbers, and what a page that is left open takes of its memory.
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { chromium } from 'playwright-core'
import { metricsPlugin } from 'fastify-prometheus'

const LOADS = 10
const ROUTES = 20
const HISTORY = 20_000
const PAUSE = 50
/** The longest wait for numbers, in milliseconds. */
const PATIENCE = 10_000

const app = Fastify()
app.register(metricsPlugin, { live: true, nativeHistograms: true })
for (let i = 0; i < ROUTES; i++) app.get(`/walks/${i}`, async () => 'ok')
const address = await app.listen({ host: '127.0.0.1', port: 0 })
const over = new AbortController()
const traffic = (async () => {
  for (let i = 0; !over.signal.aborted; i++) {
    await (await fetch(`${address}/walks/${i % ROUTES}`)).text()
    await sleep(PAUSE)
  }
})()
await sleep(HISTORY)

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
const numbers = []
for (let i = 0; i < LOADS; i++) {
  const page = await browser.newPage()
  numbers.push(await open(page))
  await page.close()
}
const page = await browser.newPage()
await open(page)
const inspector = await page.context().newCDPSession(page)
await sleep(PATIENCE)
const first = await heap()
await sleep(Number(process.argv[2]) * 60_000)
const last = await heap()
over.abort()
await traffic
await browser.close()
await app.close()
process.send({ numbers, heap: [first, last] }, () => process.exit())

/** @returns milliseconds from the start of the navigation until there are numbers, by the clock of the page */
async function open (page) {
  await page.goto(`${address}/metrics/live`)
  return await (await page.waitForFunction(() => /\d/.test(document.querySelector('#tiles')?.textContent ?? '') && performance.now(), undefined, { polling: 'raf', timeout: PATIENCE })).jsonValue()
}

async function heap () {
  await inspector.send('HeapProfiler.collectGarbage')
  const { usedSize } = await inspector.send('Runtime.getHeapUsage')
  return usedSize
}
