import t from 'tap'
import { Flow } from '../../src/live/flow.js'
import { History, RANGES } from '../../src/live/history.js'
import { Level } from '../../src/live/level.js'

const WALL = 1_700_000_000_000

/** A history whose clocks the test moves. */
function history () {
  const history = new History()
  const flow = history.flow(new Flow())
  const level = history.level(new Level())
  const rate = history.track((step) => step.rate(flow))
  const mean = history.track((step) => step.mean(level))
  let sample = 0
  let mono = 0
  let wall = WALL
  return {
    history,
    flow,
    /** A sample, after so many milliseconds, in which so many events were counted. */
    sample ({ after = 2000, events = 0, value = 0, clock = after }: { after?: number, events?: number, value?: number, clock?: number } = {}) {
      mono += after
      wall += clock
      sample++
      flow.seen = sample
      flow.add(events, 0)
      level.add(value, sample)
      return history.advance(sample, mono, wall, 5000)
    },
    shown (range: number) {
      const { places, times } = history.steps(range)
      return { times: times.map((time) => (time - WALL) / 1000), rates: places.map((at) => rate?.at(range, at)), means: places.map((at) => mean?.at(range, at)) }
    }
  }
}

t.test('a rate is over the time that really passed', async (t) => {
  const { sample, shown } = history()
  sample({ events: 1000 })
  t.same(shown(0), { times: [], rates: [], means: [] }, 'the first sample is where the history begins')
  sample({ after: 1000, events: 5 })
  sample({ after: 4000, events: 5 })
  t.same(shown(0).rates, [5, 2])
})

t.test('the finest range looks back ten seconds', async (t) => {
  const { sample, shown } = history()
  sample()
  sample({ events: 20 })
  for (let i = 0; i < 6; i++) sample()
  t.same(shown(0).rates, [10, 5, 3.33333333, 2.5, 2, 0, 0])
})

t.test('the coarser ranges have steps of their own', async (t) => {
  const { sample, shown } = history()
  sample({ value: 7 })
  for (let i = 0; i < 30; i++) sample({ events: 2, value: i })
  t.same(shown(1), { times: [32, 62], rates: [1, 1], means: [7, 22] })
  t.same(shown(2).times, [])
  for (let i = 0; i < 300; i++) sample({ events: 4 })
  t.same(shown(2).times, [602])
  t.same(shown(2).rates, [(60 + 270 * 4) / 600])
})

t.test('a range goes back as far as it says, and no farther', async (t) => {
  const { sample, shown } = history()
  for (let i = 0; i < 2000; i++) sample({ events: 2 })
  const { times, rates } = shown(0)
  t.equal(times.length, 150)
  t.equal((times.at(-1) ?? 0) - (times[0] ?? 0), 298)
  t.ok(rates.every((rate) => rate === 1))
  t.equal(shown(1).times.length, 120)
})

t.test('a gap is a gap', async (t) => {
  const { sample, shown } = history()
  for (let i = 0; i < 5; i++) sample({ events: 2 })
  sample({ after: 60_000, events: 1000 })
  for (let i = 0; i < 2; i++) sample({ events: 2 })
  t.same(shown(0).rates, [1, 1, 1, 1, null, 1, 1], 'what happened meanwhile is in no rate')
  t.same(shown(1).rates, [Number(((8 + 1000) / 68).toPrecision(9))], 'in a range whose steps are longer it is')
})

t.test('a machine that slept leaves a gap', async (t) => {
  const { sample, shown } = history()
  for (let i = 0; i < 3; i++) sample({ events: 2 })
  sample({ events: 2, clock: 3_600_000 })
  sample({ events: 2 })
  t.same(shown(0).rates, [null, 1], 'what was before is an hour ago')
  t.same(shown(1).times.at(-1), 3606, 'the next steps begin there')
  t.same(shown(1).rates, [null])
})

t.test('a clock that is put back moves what was before with it', async (t) => {
  const { sample, shown } = history()
  for (let i = 0; i < 4; i++) sample({ events: 2 })
  sample({ events: 2, clock: -3_600_000 })
  sample({ events: 2 })
  const { times, rates } = shown(0)
  t.same(times, [4, 6, 8, 10, 12].map((time) => time - 3602), 'two seconds apart, and growing')
  t.same(rates, [1, 1, 1, 1, 1])
})

t.test('what is not there has no number', async (t) => {
  const { history: all, sample, shown } = history()
  const late = new Flow()
  sample()
  const track = all.track((step) => step.rate(late))
  all.flow(late)
  sample()
  t.equal(track?.at(0, all.steps(0).places[0] ?? -1), null, 'its series is not in the sample')
  t.same(shown(0).rates, [0], 'beside one that is, and counted nothing')
})

t.test('a flow that begins later has counted since its birth', async (t) => {
  const { history: all, sample } = history()
  sample()
  sample()
  const late = all.flow(new Flow())
  late.add(8, 0)
  late.seen = 3
  sample()
  t.equal(all.over(60_000).rate(late), 2, 'eight in four seconds')
})

t.test('memory is bounded', async (t) => {
  const all = new History()
  let lines = 0
  while (all.track(() => 1) !== undefined) lines++
  const bytes = lines * RANGES.reduce((sum, { steps }) => sum + steps, 0) * 8
  t.ok(all.isFull)
  t.ok(bytes <= 4 * 2 ** 20, `${lines} lines, ${bytes} bytes`)
})
