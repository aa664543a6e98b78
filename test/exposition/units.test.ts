import fc from 'fast-check'
import t from 'tap'
import { encodeOpenMetrics2 } from '../../src/exposition/openmetrics-2.js'
import { encodeOpenMetrics } from '../../src/exposition/openmetrics.js'
import { encodeProtobuf } from '../../src/exposition/protobuf.js'
import { Counter, Gauge, Histogram, type Family } from '../../src/metrics/index.js'
import { decoded } from '../support/decoded.js'

const TYPES = { Counter, Gauge, Histogram }

/** The units of families, by the name that their series have. */
function unitsOf (families: readonly Family[]) {
  const snapshots = () => families.map((family) => family.snapshot())
  const inText = (chunks: Iterable<Buffer>, named: (base: string) => string) =>
    Object.fromEntries([...Buffer.concat([...chunks]).toString().matchAll(/^# UNIT (\S+) (\S+)$/gm)].map(([, name = '', unit]) => [named(name), unit]))
  const counters = new Map(families.filter(({ type, name }) => type === 'counter' && name.endsWith('_total')).map(({ name }) => [name.replace(/_total$/, ''), name]))
  return {
    protobuf: Object.fromEntries(decoded(Buffer.concat([...encodeProtobuf(snapshots())])).flatMap(({ name, unit }) => unit === undefined ? [] : [[name, unit]])),
    first: inText(encodeOpenMetrics(snapshots(), false), (base) => counters.get(base) ?? base),
    second: inText(encodeOpenMetrics2(snapshots()), (name) => name)
  }
}

t.test('a family has the unit that its name says, in protobuf and in both versions of OpenMetrics', async (t) => {
  const families = [
    new Counter({ name: 'walk_distance_meters_total', help: 'h', registers: [] }),
    new Gauge({ name: 'dog_weight_grams', help: 'h', registers: [] }),
    new Histogram({ name: 'walk_duration_seconds', help: 'h', registers: [] }),
    new Counter({ name: 'walks_total', help: 'h', registers: [] }),
    new Gauge({ name: 'seconds', help: 'h', registers: [] })
  ]
  const expected = { walk_distance_meters_total: 'meters', dog_weight_grams: 'grams', walk_duration_seconds: 'seconds' }
  t.same(unitsOf(families), { protobuf: expected, first: expected, second: expected })
})

t.test('whatever the names are, the formats agree', async (t) => {
  const word = fc.constantFrom('walk', 'seconds', 'bytes', 'ratio', 'total', 'info', 'sum')
  const family = fc.record({ type: fc.constantFrom(...Object.keys(TYPES) as Array<keyof typeof TYPES>), words: fc.array(word, { minLength: 1, maxLength: 3 }) })
  let units = 0
  fc.assert(fc.property(family, ({ type, words }) => {
    const { protobuf, first, second } = unitsOf([new TYPES[type]({ name: words.join('_'), help: 'h', registers: [] })])
    units += Object.keys(protobuf).length
    t.strictSame([first, second], [protobuf, protobuf], words.join('_'))
  }), { numRuns: 300 })
  t.ok(units > 30, `${units} with a unit`)
})
