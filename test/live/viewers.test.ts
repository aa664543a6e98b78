import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { Registry } from 'prom-client'
import t from 'tap'
import { Exposition } from '../../src/exposition/index.js'
import { Counter } from '../../src/index.js'
import { Live, Viewers } from '../../src/live/index.js'

const VIEW = { range: '5m', route: undefined } as const

function viewersOf () {
  const registry = new Registry()
  const walks = new Counter({ name: 'walks_total', help: 'Walks.', labelNames: ['dog'], registers: [registry] })
  walks.inc({ dog: 'Pixel' })
  const live = new Live(new Exposition(registry, { maxScrapes: 1, created: false }, { counted () {}, failed () {}, ended () {}, refused () {} }), '', false)
  return { walks, live, viewers: new Viewers(live) }
}

/** The events that wait to be read, by name. */
function read (stream: Readable): string[] {
  return [...String(stream.read() ?? '').matchAll(/^event: (.*)$/gm)].map(([, name = '']) => name)
}

t.test('who reads gets all once, and then what is new', async (t) => {
  const { live, viewers, walks } = viewersOf()
  await live.sample()
  const viewer = viewers.add(VIEW)
  t.same(read(viewer), ['live'])
  await live.sample()
  t.same(read(viewer), ['sample'])
  walks.inc({ dog: 'Rex' })
  await live.sample()
  t.same(read(viewer), ['live'], 'a line more is another picture')
  viewers.end()
})

t.test('who does not read is told nothing more, all anew later, and is cut off in the end', async (t) => {
  const { live, viewers } = viewersOf()
  const slow = viewers.add(VIEW)
  const never = viewers.add(VIEW)
  await live.sample()
  const waiting = never.readableLength
  for (let i = 0; i < 10; i++) await live.sample()
  t.equal(never.readableLength, waiting, 'nothing more is kept for it')
  t.same(read(slow), ['live'])
  await live.sample()
  t.same(read(slow), ['live'], 'it has missed something')
  await live.sample()
  t.same(read(slow), ['sample'])
  for (let i = 0; i < 20; i++) {
    await live.sample()
    read(slow)
  }
  t.ok(never.destroyed)
  t.notOk(slow.destroyed)
  viewers.end()
})

t.test('those who look at the same get the same text', async (t) => {
  const { live, viewers } = viewersOf()
  const made: string[] = []
  const { whole, latest } = live
  live.whole = (view) => { made.push(`whole ${view.range}`); return whole.call(live, view) }
  live.latest = (view) => { made.push(`latest ${view.range}`); return latest.call(live, view) }
  const all = [...Array.from({ length: 10 }, () => viewers.add(VIEW)), viewers.add({ range: '1h', route: undefined })]
  for (const each of all) read(each)
  made.length = 0
  await live.sample()
  for (const each of all) t.equal(read(each).length, 1)
  t.same(made, ['whole 5m', 'whole 1h'], 'ten viewers cost one')
  made.length = 0
  await live.sample()
  t.same(made, ['latest 5m', 'latest 1h'])
  viewers.end()
})

t.test('who leaves is told nothing, and who ends them ends all', async (t) => {
  const { live, viewers } = viewersOf()
  const [one, two] = [viewers.add(VIEW), viewers.add(VIEW)]
  one.destroy()
  await once(one, 'close')
  t.equal(viewers.size, 1)
  viewers.end()
  two.resume()
  await once(two, 'end')
  t.equal(viewers.size, 0)
  await live.sample()
})
