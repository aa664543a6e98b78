import { EventEmitter, once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Gauge as PromGauge, Registry } from 'prom-client'
import t from 'tap'
import { Exposition, readRequest, type Look } from '../../src/exposition/index.js'
import { Counter, Histogram } from '../../src/metrics/index.js'

/** A registry, its pages, and a look at it. */
function looked () {
  const registry = new Registry()
  const failed: string[] = []
  const pages = new Exposition(registry, { maxScrapes: 1, created: false }, { counted () {}, failed: (name) => failed.push(name), ended () {}, refused () {} })
  const look = async (given: Partial<Look> = {}) => {
    const seen = { names: [] as string[], failed: [] as string[], waiting: [] as string[] }
    const families = await pages.look({ collects: true, skips: () => false, waits: (name) => seen.waiting.push(name), failed: (name) => seen.failed.push(name), counted () {}, ...given })
    seen.names.push(...families.map(({ name }) => name))
    return seen
  }
  return { registry, registers: [registry], failed, pages, look }
}

t.test('what is looked at, and what is left out', async (t) => {
  const { registers, look } = looked()
  let collected = 0
  new Counter({ name: 'walks_total', help: 'Walks.', registers }).inc()
  t.ok(new PromGauge({ name: 'dogs', help: 'Dogs.', registers, collect () { collected++; this.set(1) } }))
  t.match(await look(), { names: ['walks_total', 'dogs'], waiting: [] })
  t.match(await look({ collects: false }), { names: ['walks_total'], waiting: ['dogs'] })
  t.equal(collected, 1)
  t.match(await look({ skips: (name) => name === 'walks_total' }), { names: ['dogs'] })
})

t.test('a look starts no native histogram anew, as a page does', async (t) => {
  const { registers, look, pages } = looked()
  const spread = new Histogram({ name: 'spread', help: 'Spread.', buckets: [], native: { growthFactor: 1.1, resetAfter: 0.001 }, registers })
  for (let i = 0; i < 300; i++) spread.observe(1.09 ** i)
  await sleep(10)
  await look()
  await look()
  t.match(await pages.text(), /^spread_count 300$/m)
  t.match(await pages.text(), /^spread_count 0$/m, 'a page does')
})

t.test('a metric that hangs is left out of later looks, and a scrape asks it all the same', async (t) => {
  const { registers, failed, look, pages } = looked()
  const answers: Array<() => void> = []
  const asked = new EventEmitter()
  let times = 0
  t.ok(new PromGauge({
    name: 'slow',
    help: 'Slow.',
    registers,
    async collect () {
      times++
      asked.emit(String(times))
      if (times > 1) await new Promise<void>((resolve) => { answers.push(resolve) })
      this.set(1)
    }
  }))
  await look()
  t.same((await look()).failed, ['slow'])
  const again = look()
  const scraped = once(asked, '3')
  const page = pages.scrape(readRequest({}, '')).whole()
  await scraped
  for (const answer of answers) answer()
  t.match(String(await page), /^slow 1$/m)
  t.same(failed, [], 'and has nothing to report')
  await again
})
