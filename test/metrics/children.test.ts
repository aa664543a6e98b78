import * as prom from 'prom-client'
import t from 'tap'
import { Counter, Gauge, Histogram } from '../../src/metrics/index.js'

type Method = (...args: unknown[]) => unknown
type Child = Record<string, Method>
type Kind = 'Counter' | 'Gauge' | 'Histogram'
interface Family { labels (...values: unknown[]): Child, get (): Promise<{ values: Array<{ value: number, metricName?: string }> }> }

const METHODS: Record<Kind, string[]> = {
  Counter: ['inc'],
  Gauge: ['inc', 'dec', 'set', 'setToCurrentTime', 'startTimer'],
  Histogram: ['observe', 'startTimer']
}

/** How an application holds a child's function and calls it: what comes after `value` is not the application's choice. */
const WAYS: Record<string, (child: Child, method: string, value: unknown) => unknown> = {
  'on the child': (child, method, value) => (child[method] as Method)(value),
  'taken out': (child, method, value) => {
    const { [method]: taken } = child
    return (taken as Method)(value)
  },
  'of a spread copy': (child, method, value) => ({ ...child })[method]?.(value),
  'of an assigned copy': (child, method, value) => (Object.assign(Object.create(null), child) as Child)[method]?.(value),
  'with another this': (child, method, value) => child[method]?.call({ inc: 1 }, value),
  'bound to another this': (child, method, value) => child[method]?.bind(null)(value),
  'by Reflect': (child, method, value) => Reflect.apply(child[method] as Method, undefined, [value]),
  'by forEach of an array': (child, method, value) => [value].map(child[method] as Method)[0],
  'by forEach of a Map': (child, method, value) => {
    let answer: unknown
    new Map([[{ trace_id: 'x' }, value]]).forEach((...args) => { answer = child[method]?.(...args) })
    return answer
  },
  'by an emitter with more to say': (child, method, value) => child[method]?.(value, { url: '/'.repeat(200), request: {} }),
  'by an emitter with an error': (child, method, value) => child[method]?.(value, new Error('beside it')),
  'by a timer\'s caller': (child, method, value) => child[method]?.(value, null),
  'in a promise': (child, method, value) => child[method]?.(value, undefined, undefined)
}

function made (library: Record<Kind, unknown>, kind: Kind): Family {
  const Type = library[kind] as new (config: object) => Family
  return new Type({ name: 'subject', help: 'Of the test.', labelNames: ['a'], buckets: [1, 3], registers: [new prom.Registry()] })
}

const OURS = { Counter, Gauge, Histogram }

/** What was written, without what a clock said. */
async function countedIn (family: Family): Promise<object[]> {
  const { values } = await family.get()
  return values.filter(({ metricName }) => metricName !== 'subject_sum').map((each) => ({ ...each, value: Number.isInteger(each.value) ? each.value : 'a time' }))
}

for (const kind of ['Counter', 'Gauge', 'Histogram'] as const) {
  t.test(`each function of a ${kind}'s child is bound, as prom-client's are`, async (t) => {
    t.strictSame(Object.keys(made(OURS, kind).labels('x')), Object.keys(made(prom, kind).labels('x')), 'own, enumerable, the same ones, in the same order')
    for (const method of METHODS[kind]) {
      for (const [way, call] of Object.entries(WAYS)) {
        const [ours, theirs] = [made(OURS, kind), made(prom, kind)]
        for (const family of [ours, theirs]) {
          const answer = call(family.labels('x'), method, method === 'startTimer' ? undefined : 2)
          if (method === 'startTimer') {
            const end = answer as Method
            t.type(end.call({}), 'number')
          }
        }
        const [state, expected] = [await countedIn(ours), await countedIn(theirs)]
        t.strictSame(state, expected, `${method} ${way}`)
      }
    }
  })
}

t.test('a child that was taken apart follows its series', async (t) => {
  const gauge = new Gauge({ name: 'subject', help: 'Of the test.', labelNames: ['a'], registers: [] })
  const { set, inc } = gauge.labels('x')
  const copy = { ...gauge.labels('x') }
  set(5)
  inc()
  copy.dec(2)
  t.strictSame((await gauge.get()).values, [{ labels: { a: 'x' }, value: 4 }])
  gauge.remove('x')
  inc()
  copy.inc()
  t.strictSame((await gauge.get()).values, [{ labels: { a: 'x' }, value: 2 }])
})

t.test('an exemplar of a child is two arguments, and the second a label set', async (t) => {
  const histogram = new Histogram({ name: 'subject', help: 'Of the test.', labelNames: ['a'], buckets: [1], enableExemplars: true, registers: [] })
  const { observe } = histogram.labels('x')
  const exemplar = async () => (await histogram.get()).values[0]?.exemplar as { labelSet: unknown, value: number } | null
  const others = [0, 7, '', 'text', null, true, [], ['x'], {}, { a: {} }, { a: undefined }, { a: 'x'.repeat(128) }, new Map(), new Date(), new Error('no'), () => {}, Symbol('no'), 5n]
  for (const other of others) t.doesNotThrow(() => { observe(0.5, other as never) })
  ;[0.1, 0.2].forEach(observe)
  new Map([[{ trace_id: 'key' }, 0.5]]).forEach((...args: unknown[]) => { (observe as Method)(...args) })
  t.equal(await exemplar(), null)
  t.equal((await histogram.get()).values.at(-1)?.value, others.length + 3, 'and all are observed')
  const labels = { trace_id: 'x', attempt: 2 }
  observe(0.25, labels)
  t.match(await exemplar(), { labelSet: labels, value: 0.25 })
  observe(0.75, Object.assign(Object.create(null), { trace_id: 'y' }))
  t.match(await exemplar(), { labelSet: { trace_id: 'y' }, value: 0.75 })
})
