import t from 'tap'
import { bounds, splits, TIME_STEPS } from '../../src/live/browser/axis.js'
import { moment, timeOfDay, timeTicks } from '../../src/live/browser/clock.js'
import { allDigits, counted, text, ticks, visible, write } from '../../src/live/browser/format.js'
import { connectionWords } from '../../src/live/browser/words.js'
import type { Unit } from '../../src/live/shape.js'

const texts = (unit: Unit, values: ReadonlyArray<number | null>): string[] => values.map((value) => text(value, unit))

t.test('a number that is not known is no 0', async (t) => {
  t.same(texts('seconds', [null, 0]), ['no data', '0 s'])
  t.same(texts('per second', [null, 0]), ['no data', '0'])
  t.same(write(null, 'bytes'), { digits: 'no data', unit: '' })
})

t.test('seconds are told in the unit that fits', async (t) => {
  t.same(texts('seconds', [0.0000123, 0.00456, 0.25, 1, 12.34, 90, 3600, 9000]), ['12.3 µs', '4.56 ms', '250 ms', '1 s', '12.3 s', '1.5 min', '1 h', '2.5 h'])
  t.equal(text(0.0000000005, 'seconds'), '0.0005 µs')
})

t.test('a number that is rounded up to the next unit is told in it', async (t) => {
  t.same(texts('seconds', [0.9996, 0.0009999, 59.99]), ['1 s', '1 ms', '1 min'])
  t.same(texts('bytes', [1023.9, 1024 ** 2 - 1]), ['1 KiB', '1 MiB'])
})

t.test('bytes are told in powers of 1024', async (t) => {
  t.same(texts('bytes', [0, 512, 1023, 1536, 190e6, 5e9, 3e13]), ['0 B', '512 B', '1,023 B', '1.5 KiB', '181 MiB', '4.66 GiB', '27.3 TiB'])
})

t.test('a slow rate is told by the minute or by the hour', async (t) => {
  t.same(texts('per second', [0.05, 0.0005, 0.1, 3, 1437, 12.345]), ['3 /min', '1.8 /h', '0.1 /s', '3 /s', '1,437 /s', '12.3 /s'])
})

t.test('a share is told in percent, and a small one is not told as 0', async (t) => {
  t.same(texts('ratio', [0, 0.0123, 0.12345, 1, 0.000001]), ['0 %', '1.23 %', '12.3 %', '100 %', '< 0.001 %'])
})

t.test('a count has all its digits', async (t) => {
  t.same(texts('number', [0, 7, 1437, 12_345_678, 1437.6, 3.14159, 0.000123, 2e-9, 1e21]), ['0', '7', '1,437', '12,345,678', '1,438', '3.14', '0.000123', '2e-9', '1e21'])
  t.same([allDigits(1_234_567_890), allDigits(0.5)], ['1,234,567,890', '0.5'])
  t.same([counted(1, 'process', 'processes'), counted(1200, 'process', 'processes')], ['1 process', '1,200 processes'])
})

t.test('the labels of an axis are of one unit', async (t) => {
  t.same(ticks([0, 0.5, 1, 1.5], 'seconds'), ['0', '0.5 s', '1 s', '1.5 s'])
  t.same(ticks([0, 0.0002, 0.0004], 'seconds'), ['0', '200 µs', '400 µs'])
  t.same(ticks([0, 0.005, 0.01], 'ratio'), ['0', '0.5 %', '1 %'])
  t.same(ticks([0, 1 / 60, 2 / 60], 'per second'), ['0', '1 /min', '2 /min'])
  t.same(ticks([1_795_831_000, 1_795_832_000], 'number'), ['1,795,831,000', '1,795,832,000'])
  t.same(ticks([], 'number'), [])
})

t.test('an axis has a label at each step, whatever the step', async (t) => {
  t.same(splits('per second', 0, 0.0712, 5), [0, 1, 2, 3, 4].map((count) => Number((count / 60).toPrecision(12))))
  t.same(splits('number', 0, 10.8, 4), [0, 5, 10])
  t.same(splits('number', -1.08, 1, 5), [-1, -0.5, 0, 0.5, 1])
  t.same(splits('bytes', 0, 3000, 4), [0, 1024, 2048])
  for (const unit of ['per second', 'seconds', 'bytes', 'ratio', 'cores', 'number'] as const) {
    for (const most of [0.00001, 0.02, 0.7, 3, 250, 1e7, 1e12]) {
      const { length } = splits(unit, 0, most, 5)
      t.ok(length >= 2 && length <= 6, `${unit} up to ${most} has ${length} labels`)
    }
  }
  t.same([...TIME_STEPS].sort((a, b) => a - b), TIME_STEPS)
})

t.test('an axis begins at 0, but for large numbers that hardly change', async (t) => {
  t.same(bounds('bytes', 100, 200), [0, 216])
  t.same(bounds('ratio', 0.2, 1), [0, 1])
  t.same(bounds('seconds', 0, 0), [0, 0.001])
  t.same(bounds('number', null, null), [0, 1])
  t.equal(bounds('number', -5, 5)[0], -5.4)
  const [least, most] = bounds('number', 1_795_831_000, 1_795_831_300)
  t.ok(least > 1_795_830_000 && most < 1_795_832_000)
})

t.test('control characters and changes of the direction of writing are made visible', async (t) => {
  t.equal(visible('a\u202eb\u2066c\nd\u0007e\u009bf'), 'a\ufffdb\ufffdc␊d␇e\ufffdf')
  t.equal(visible('<b>שלום</b> é 🐕'), '<b>שלום</b> é 🐕')
})

t.test('a moment of another day has its date', async (t) => {
  const noon = new Date(2026, 10, 28, 12, 3, 10).getTime()
  t.equal(timeOfDay(noon), '12:03:10')
  t.equal(moment(noon, noon + 60_000), '12:03:10')
  t.equal(moment(noon, noon + 86_400_000), '28 Nov 12:03:10')
  t.same(timeTicks([noon, new Date(2026, 10, 29).getTime()], 3_600_000), ['12:03', '29 Nov'])
  t.same(timeTicks([noon], 10_000), ['12:03:10'])
})

t.test('the connection is told in words', async (t) => {
  const now = new Date(2026, 10, 28, 12, 4).getTime()
  const since = new Date(2026, 10, 28, 12, 3, 10).getTime()
  t.equal(connectionWords({ kind: 'connecting' }, now), 'connecting')
  t.equal(connectionWords({ kind: 'live' }, now), 'live')
  t.equal(connectionWords({ kind: 'asking', every: 5000 }, now), 'asking every 5 s')
  t.equal(connectionWords({ kind: 'lost', since, why: null }, now), 'connection lost since 12:03:10, trying again')
  t.equal(connectionWords({ kind: 'lost', since: null, why: 'the service answers 401' }, now), 'no connection (the service answers 401), trying again')
})
