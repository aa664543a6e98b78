import fc from 'fast-check'
import { Registry, Counter as ForeignCounter } from 'prom-client'
import t from 'tap'
import { Counter, Gauge, Histogram } from '../../src/index.js'
import { Page } from '../support/page.js'
import { snapshot } from '../../src/testing/index.js'

t.test('a label that is named twice is one, as with prom-client: by an object and by position, where the last value counts', async (t) => {
  for (const Maker of [Counter, ForeignCounter] as Array<typeof Counter>) {
    const registry = new Registry()
    const counter = new Maker({ name: 'c_total', help: 'h', labelNames: ['x', 'y', 'x'], registers: [registry] })
    counter.inc({ x: 'a', y: 'b' }, 2)
    counter.labels('first', 'b', 'a').inc(3)
    t.throws(() => counter.labels('a', 'b'), /Invalid number of arguments \(2\): "a, b" for label names \(3\): "x, y, x"/)
    t.same(new Page(await registry.metrics()).samples, [{ name: 'c_total', labels: { x: 'a', y: 'b' }, value: 5 }], Maker === Counter ? 'ours' : 'theirs')
    counter.remove('other', 'b', 'a')
    t.same(new Page(await registry.metrics()).samples, [])
  }
})

t.test('labels whose names every object inherits are read from the object alone', async (t) => {
  const names = ['constructor', 'toString', 'valueOf', 'hasOwnProperty', '__proto__', '__defineGetter__']
  const registry = new Registry()
  const counter = new Counter({ name: 'c_total', help: 'h', labelNames: ['a', ...names], registers: [registry] })
  const histogram = new Histogram({ name: 'h', help: 'h', labelNames: names, registers: [registry] })
  const gauge = new Gauge({ name: 'g', help: 'h', labelNames: names, registers: [registry] })
  const own = JSON.parse(`{${names.map((name) => `"${name}":"of ${name}"`).join()}}`) as Record<string, string>
  counter.inc({ a: 'none' })
  counter.inc(Object.assign(Object.create(null), { a: 'no prototype' }))
  counter.inc(own)
  counter.labels({ a: 'child' }).inc()
  counter.labels('all', ...names).inc()
  histogram.observe({}, 1)
  histogram.observe(own, 1)
  gauge.startTimer(own)()
  const samples = (await snapshot(registry)).samples('c_total') ?? []
  t.strictSame(samples.map(({ labels }) => Object.entries(labels)), [
    [['a', 'none']], [['a', 'no prototype']], names.map((name) => [name, `of ${name}`]), [['a', 'child']], [['a', 'all'], ...names.map((name) => [name, name])]
  ])
  t.strictSame((await snapshot(registry)).samples('h_count')?.map(({ labels }) => Object.entries(labels).length), [0, names.length])
  t.strictSame((await snapshot(registry)).samples('g')?.map(({ labels }) => Object.entries(labels)), [Object.entries(own)])
  counter.remove(own)
  t.equal((await snapshot(registry)).samples('c_total')?.length, 4)
})

t.test('texts that are the same in UTF-8 are one label value', async (t) => {
  const registry = new Registry()
  const counter = new Counter({ name: 'c_total', help: 'h', labelNames: ['a'], registers: [registry] })
  const child = counter.labels('\udc00')
  for (let i = 0; i < 2; i++) {
    for (const a of ['\ud800', '\udfff', '\ufffd']) counter.inc({ a })
    child.inc()
  }
  t.equal(counter.size, 1)
  t.same(new Page(await registry.metrics()).samples, [{ name: 'c_total', labels: { a: '\ufffd' }, value: 8 }])
  counter.remove({ a: '\udbff' })
  t.equal(counter.size, 0)
  for (const a of ['\ud83d\ude00', 'é', '\ud83d']) counter.inc({ a })
  t.equal(counter.size, 3, 'and no others are')
})

t.test('an object that is another text each time makes no series twice', async (t) => {
  fc.assert(fc.property(fc.array(fc.constantFrom('x', 'y', 'z'), { minLength: 20, maxLength: 20 }), (texts) => {
    const counter = new Counter({ name: 'c_total', help: 'h', labelNames: ['a'], registers: [] })
    let i = 0
    for (let n = 0; n < 6; n++) counter.inc({ a: { toString: () => texts[i++ % texts.length] } as never })
    const labels = [...counter.snapshot().series()].map(({ labels }) => labels.map(({ value }) => value).join())
    if (new Set(labels).size !== labels.length) throw new Error(labels.join(' '))
  }))
  t.pass()
})

t.test('a help that is no text is one, and costs no page', async (t) => {
  const throwing = { toString () { throw new Error('of the test') } }
  const cases: Array<[unknown, string]> = [['Help.', 'Help.'], [{ a: 1 }, '[object Object]'], [7, '7'], [true, 'true'], [Symbol('s'), 'Symbol(s)'], [['a', 'b'], 'a,b'], [Object.create(null), ''], [throwing, '']]
  for (const [help, expected] of cases) {
    const registry = new Registry()
    const gauge = new Gauge({ name: 'g', help: help as string, registers: [registry] })
    t.equal(gauge.help, expected)
    t.match(await registry.metrics(), `# HELP g ${expected}\n# TYPE g gauge\ng 0\n`)
  }
  for (const help of [undefined, null, '', 0, false, NaN]) t.throws(() => new Gauge({ name: 'g', help: help as string, registers: [] }), /Missing mandatory help/)
})
