import { Registry } from 'prom-client'
import t from 'tap'
import { Counter, Gauge, Histogram } from '../../src/index.js'
import { Flow, NOTHING, Growth } from '../../src/live/flow.js'
import { Intake } from '../../src/live/intake.js'
import { Level } from '../../src/live/level.js'
import type { FamilySnapshot } from '../../src/metrics/index.js'

/** An intake that puts all into one flow and one level. */
function intake () {
  const flow = new Flow()
  const level = new Level()
  const intake = new Intake(({ type }) => () => [type === 'gauge' ? level : flow])
  let isFirst = true
  return {
    flow,
    level,
    intake,
    async take (families: readonly FamilySnapshot[], isCarried = false) {
      await intake.take(families, isFirst, () => isCarried)
      isFirst = false
    }
  }
}

const registers: Registry[] = []

t.test('what was counted before the history is no growth, and what a new series has is', async (t) => {
  const { flow, take } = intake()
  const counter = new Counter({ name: 'walks_total', help: 'Walks.', labelNames: ['dog'], registers })
  counter.inc({ dog: 'Pixel' }, 100)
  await take([counter.peek()])
  t.equal(flow.counted.count, 0)
  t.equal(flow.total, 100)
  counter.inc({ dog: 'Pixel' }, 3)
  counter.inc({ dog: 'Rex' }, 4)
  await take([counter.peek()])
  t.equal(flow.counted.count, 7)
  t.equal(flow.total, 107)
})

t.test('a counter that starts anew has counted what it has', async (t) => {
  const { flow, take } = intake()
  const counter = new Counter({ name: 'walks_total', help: 'Walks.', registers })
  counter.inc(100)
  await take([counter.peek()])
  counter.reset()
  counter.inc(5)
  await take([counter.peek()])
  t.equal(flow.counted.count, 5)
})

t.test('a histogram that starts anew with as much is seen by its start time', async (t) => {
  const { flow, take } = intake()
  const histogram = new Histogram({ name: 'distance', help: 'Metres.', buckets: [1, 2], registers })
  histogram.observe(1)
  const before = histogram.peek()
  await take([before])
  histogram.reset()
  histogram.zero()
  histogram.observe(2)
  const [series] = histogram.peek().series()
  const later = { ...before, * series () { yield { ...series as NonNullable<typeof series>, created: Date.now() / 1000 + 60 } } }
  await take([later])
  t.equal(flow.counted.count, 1)
  t.same([...flow.counted.buckets], [0, 1, 0])
})

t.test('a series that goes and comes again begins at nothing', async (t) => {
  const { flow, take } = intake()
  const counter = new Counter({ name: 'walks_total', help: 'Walks.', labelNames: ['dog'], registers })
  counter.inc({ dog: 'Pixel' }, 100)
  await take([counter.peek()])
  counter.remove({ dog: 'Pixel' })
  await take([counter.peek()])
  counter.inc({ dog: 'Pixel' }, 100)
  await take([counter.peek()])
  t.equal(flow.counted.count, 100)
})

t.test('a metric that could not be read has counted before what it has', async (t) => {
  const { flow, intake: reader, take } = intake()
  const counter = new Counter({ name: 'walks_total', help: 'Walks.', registers })
  counter.inc(100)
  reader.missed('walks_total')
  await take([])
  await take([counter.peek()])
  t.equal(flow.counted.count, 0, 'nobody knows since when')
  reader.missed('walks_total')
  await take([])
  t.not(flow.seen, reader.sample, 'it is not there')
  counter.inc(2)
  await take([counter.peek()])
  t.equal(flow.counted.count, 2, 'what it counted meanwhile is known')
})

t.test('a metric that is not asked for keeps what it said', async (t) => {
  const { level, intake: reader, take } = intake()
  const gauge = new Gauge({ name: 'dogs', help: 'Dogs.', registers })
  gauge.set(7)
  await take([gauge.peek()])
  await take([], true)
  t.equal(level.seen, reader.sample)
  t.equal(level.value, 7)
  await take([])
  t.not(level.seen, reader.sample, 'one that is gone does not')
})

t.test('levels add up, and NaN is no number', async (t) => {
  const { level, take } = intake()
  const gauge = new Gauge({ name: 'dogs', help: 'Dogs.', labelNames: ['place'], registers })
  gauge.set({ place: 'park' }, 3)
  gauge.set({ place: 'home' }, 4)
  gauge.set({ place: 'gone' }, NaN)
  await take([gauge.peek()])
  t.equal(level.value, 7)
  gauge.reset()
  gauge.set({ place: 'gone' }, NaN)
  await take([gauge.peek()])
  t.equal(level.value, undefined)
})

t.test('native buckets of series of different widths add up, and stay apart in time', async (t) => {
  const { flow, take } = intake()
  const registry = new Registry()
  const narrow = new Histogram({ name: 'narrow', help: 'Narrow.', buckets: [], native: { growthFactor: 1.1 }, registers: [registry] })
  const wide = new Histogram({ name: 'wide', help: 'Wide.', buckets: [], native: { growthFactor: 2 }, registers: [registry] })
  for (let i = 0; i < 100; i++) narrow.observe(10)
  await take([narrow.peek(), wide.peek()])
  const then = flow.counted
  for (let i = 0; i < 10; i++) narrow.observe(100)
  await take([narrow.peek(), wide.peek()])
  const median = new Growth(flow, flow.counted, then).quantile(0.5) as number
  t.ok(median > 92 && median < 109, `${median}: of the last ten alone`)
  for (let i = 0; i < 10; i++) wide.observe(100)
  await take([narrow.peek(), wide.peek()])
  const coarse = new Growth(flow, flow.counted, then)
  t.equal(coarse.count, 20)
  const both = coarse.quantile(0.5) as number
  t.ok(both > 64 && both <= 128, `${both}: as wide as the widest`)
  t.equal(new Growth(flow, flow.counted, NOTHING).count, 20)
})
