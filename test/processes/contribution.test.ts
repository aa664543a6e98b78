import t from 'tap'
import { Counter, Gauge, Histogram } from '../../src/metrics/index.js'
import { Contributions, NoContribution, PREAMBLE, readBody, readHead, readPreamble, type Contributed } from '../../src/processes/contribution.js'
import { Contributors } from '../../src/processes/contributors.js'
import { Registry } from 'prom-client'

const observer = { failed (metric: string, error: unknown) { throw new Error(metric, { cause: error }) }, counted () {} }

/** A registry with each kind of family, and numbers of which none is the same. */
function filled (seed: number): Registry {
  const registry = new Registry()
  const registers = [registry]
  const counter = new Counter({ name: 'walks_total', help: 'Walks.', labelNames: ['dog', 'walker'], registers })
  const gauge = new Gauge({ name: 'dogs', help: 'Dogs "out" \\ in\nall.', labelNames: ['breed'], registers })
  const histogram = new Histogram({ name: 'distance', help: 'Distance.', labelNames: ['dog'], buckets: [1, 10, 100], registers })
  const native = new Histogram({ name: 'native', help: 'Native.', buckets: [], native: {}, registers })
  for (let i = 0; i < 20; i++) {
    counter.inc({ dog: `dog ${i % 7} ä\u{1f436}`, ...i % 3 === 0 ? {} : { walker: String(i % 2) } }, seed + i)
    gauge.set({ breed: `b${i}` }, [seed / 3, -0, Infinity, -Infinity, NaN][i % 5] as number)
    histogram.labels({ dog: String(i % 4) }).observe(i * seed, { trace_id: String(i) })
    native.observe(i * seed - 5)
  }
  return registry
}

async function written (seed: number): Promise<Buffer> {
  const registry = filled(seed)
  registry.setDefaultLabels({ app: 'dogs' })
  return Buffer.from(new Contributions(`author${seed}`).next(await new Contributors([registry], 7, observer).all(1000)) as Buffer)
}

function read (bytes: Buffer): { id: string, families: Contributed[] } {
  // Numbers must begin at a multiple of 8 in memory.
  const copy = Buffer.from(new ArrayBuffer(bytes.length))
  bytes.copy(copy)
  const { header, body, crcOfBody } = readPreamble(copy)
  const head = readHead(copy)
  const at = PREAMBLE + ((header + 7) & ~7)
  if (copy.length !== at + body) throw new NoContribution('it is of another length')
  return { id: head.id, families: [...readBody(copy.subarray(at), crcOfBody, head)] }
}

const plain = (value: unknown) => JSON.stringify(value, (_, each: unknown) => ArrayBuffer.isView(each) ? [...each as Float64Array].map(String) : each)

t.test('what is written is read: labels, numbers of every kind, native buckets and exemplars', async (t) => {
  const { id, families } = read(await written(2))
  t.equal(id, 'author2')
  const by = new Map(families.map((family) => [family.definition.name, family]))
  const walks = by.get('walks_total') as Contributed
  t.match(walks.definition, { type: 'counter', merge: 'sum', labels: ['dog', 'walker', 'app'], since: 7 })
  const labelsOf = ({ labels: { names, values, numbers } }: Contributed, series: number) => names.map((_, i) => values[i]?.[numbers[series * names.length + i] as number])
  t.same(labelsOf(walks, 0), ['dog 0 ä\u{1f436}', undefined, 'dogs'])
  t.equal(walks.numbers[0], 2)
  const dogs = by.get('dogs') as Contributed
  t.same([...dogs.numbers.subarray(0, 5)], [2 / 3, -0, Infinity, -Infinity, NaN])
  const distance = by.get('distance') as Contributed
  t.same(distance.definition.bounds, [1, 10, 100])
  t.ok(distance.exemplars.length > 3)
  t.same([...distance.numbers.subarray(2, 6)].reduce((sum, count) => sum + count), 5, 'the buckets of the first series')
  t.ok((by.get('native') as Contributed).natives.length > 10)
})

t.test('bytes that are cut off, changed, or of somebody else are refused, or are as they were', async (t) => {
  const bytes = await written(3)
  const whole = plain(read(bytes))
  let refused = 0
  const check = (torn: Buffer, what: string) => {
    try {
      if (plain(read(torn)) !== whole) t.fail(`${what}: it is read as something else`)
    } catch (error) {
      if (!(error instanceof NoContribution)) t.fail(`${what}: ${String(error)}`)
      refused++
    }
  }
  for (let length = 0; length < bytes.length; length++) check(bytes.subarray(0, length), `cut off after ${length}`)
  t.equal(refused, bytes.length)
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes)
    flipped[at] = (flipped[at] as number) ^ (1 << (at % 8))
    check(flipped, `a bit of byte ${at}`)
  }
  t.ok(refused > 2 * bytes.length - PREAMBLE, 'any bit but those that mean nothing')
  const other = await written(4)
  for (let at = PREAMBLE; at < bytes.length; at += 7) check(Buffer.concat([bytes.subarray(0, at), other.subarray(at)]), `the beginning of one and the end of another, from ${at}`)
  for (let i = 0; i < 300; i++) check(Buffer.from(Array.from({ length: i * 3 }, () => Math.floor(Math.random() * 256))), `random bytes, ${i}`)
})

t.test('nothing is written when nothing has changed, and each contribution stays until the next but one', async (t) => {
  const registry = filled(5)
  const contributors = new Contributors([registry], 7, observer)
  const contributions = new Contributions('me')
  const first = contributions.next(await contributors.all(1000)) as Buffer
  const text = plain(read(first))
  t.equal(contributions.next(contributors.now()), undefined)
  ;(registry.getSingleMetric('walks_total') as unknown as Counter).inc({ dog: 'new' })
  const second = contributions.next(contributors.now())
  t.not(second, undefined)
  t.equal(plain(read(first)), text)
  t.equal(read(second as Buffer).families.find(({ definition }) => definition.name === 'walks_total')?.size, 19)
  t.equal(readHead(second as Buffer).sequence, readHead(first).sequence + 1)
})
