import { text as textOf } from 'node:stream/consumers'
import { Registry } from 'prom-client'
import t from 'tap'
import { Rendering } from '../../src/exposition/rendering.js'
import { pause } from '../../src/exposition/slices.js'
import { Counter } from '../../src/index.js'
import { exposed, large, TEXT } from '../support/exposed.js'

t.test('a long page is made in many turns of the event loop, several at once in one after another', async (t) => {
  const registry = new Registry()
  large(registry, 20_000)
  const { exposition } = exposed(registry)
  let turns = 0
  let counting = true
  const turn = () => {
    turns++
    if (counting) setImmediate(turn)
  }
  setImmediate(turn)
  const page = await exposition.text()
  const alone = turns
  t.ok(alone > 5, `${alone} turns for ${page.length} characters`)
  await Promise.all([TEXT, { ...TEXT, format: 'openmetrics' as const }, { ...TEXT, format: 'protobuf' as const }].map(async (request) => {
    for await (const chunk of exposition.scrape(request)) t.ok(chunk)
  }))
  counting = false
  t.ok(turns - alone > 2 * alone / 1.5, `${turns - alone} turns for three pages`)
})

t.test('those that pause go on one a turn of the event loop', async (t) => {
  let turn = 0
  let going = true
  const count = () => {
    turn++
    if (going) setImmediate(count)
  }
  const spent = performance.now() + 20
  while (performance.now() < spent) await null
  setImmediate(count)
  const turns = await Promise.all([1, 2, 3].map(async () => {
    await pause()
    return turn
  }))
  going = false
  t.equal(new Set(turns).size, 3, `turns ${turns}`)
})

t.test('while a page is new it can be joined from its beginning; then what all have taken is let go, and nobody misses a chunk', async (t) => {
  let passed = 0
  const { now } = performance
  t.intercept(performance, 'now', { value: () => now.call(performance) + passed })
  let made = 0
  async function * chunks () {
    while (made < 20) yield Buffer.from(`chunk ${made++}`)
  }
  const rendering = new Rendering(chunks(), () => {})
  const take = async (reader: object, from: number, to: number) => {
    for (let i = from; i < to; i++) t.equal(String(await rendering.next(reader)), `chunk ${i}`)
  }
  const [fast, slow, late] = [{}, {}, {}]
  rendering.join(fast)
  rendering.join(slow)
  await take(fast, 0, 5)
  await take(slow, 0, 2)
  t.ok(rendering.fresh)
  rendering.join(late)
  await take(late, 0, 3)
  passed = 1000
  t.notOk(rendering.fresh)
  await take(fast, 5, 10)
  await take(slow, 2, 10)
  await take(late, 3, 20)
  await take(slow, 10, 20)
  await take(fast, 10, 20)
  for (const reader of [fast, slow, late]) t.equal(await rendering.next(reader), undefined)

  const registry = new Registry()
  large(registry, 2000)
  const counter = new Counter({ name: 'last_total', help: 'h', registers: [registry] })
  const { exposition } = exposed(registry)
  const first = exposition.scrape(TEXT)
  await first.whole()
  counter.inc()
  passed = 3000
  t.match(await textOf(exposition.scrape(TEXT)), 'last_total 1\n', 'a scrape gets no numbers of long ago')
  t.match(await textOf(first), 'last_total 0\n', 'and the other the rest of its own')
})

t.test('a page is made no faster than it is taken, and is let go when nobody may join any more', async (t) => {
  let made = 0
  let stopped = 0
  async function * chunks () {
    try {
      while (made < 100) yield Buffer.from(`chunk ${made++}`)
    } finally {
      stopped++
    }
  }
  let left = 0
  const rendering = new Rendering(chunks(), () => { left++ })
  const fast = {}
  const slow = {}
  rendering.join(fast)
  rendering.join(slow)
  for (let i = 0; i < 10; i++) t.equal(String(await rendering.next(fast)), `chunk ${i}`)
  t.equal(made, 10)
  t.equal(String(await rendering.next(slow)), 'chunk 0', 'each reader has its own pace')
  const [one, two] = await Promise.all([rendering.next(slow), rendering.next(slow)])
  t.equal(made, 10)
  t.ok(one !== undefined && two !== undefined)
  rendering.leave(fast)
  rendering.leave(fast)
  t.equal(left, 0)
  rendering.leave(slow)
  t.equal(left, 1, 'the last one out')
  t.equal(await rendering.next(slow), undefined)
  t.equal(stopped, 1, 'the work has stopped')
})
