import type Fastify from 'fastify'
import type { Test } from 'tap'
import { Page } from './page.js'
import { differences, type Record } from './recorder.js'
import { perform, type Performance, type Setup, type Way } from './stage.js'

/** What each object has on purpose, whichever way a request comes. */
const EVERYWHERE = [
  '+ application has metrics',
  '+ raw response has Symbol(fastify-prometheus.exchange)',
  '+ raw response listens to close',
  '+ server listens to clientError',
  '+ server listens to request'
]
/** That of a body that says no length. */
const COUNTED_BODY = ['+ raw request has push, a function /2']
const WATCHED_STREAM = ['+ stream has close, a function close/0', '+ stream has respond, a function respond/2']
/** That of inject(): its response is over at the first of its events. */
const INJECTED = ['+ raw response listens to finish']
/** That of inject() without a callback, which returns before the request is there. */
const INJECTED_CHAIN = ['+ raw response listens to close']

/** The route of the page, which hooks see that were there before it. */
const PAGE_ROUTE = ['+ onRoute GET,HEAD /metrics {"rateLimit":false,"cors":false,"metrics":false} ["compress","schema","logLevel","handler","path","routePath","prefix","attachValidation"]']

/** Plays the scenes on observed applications, on a bare one beside them, and on one after they are closed: what differs from the baseline is what is named here. */
export async function compare (t: Test, bare: Performance, make: typeof Fastify, way: Way, setups: readonly Setup[]): Promise<void> {
  const observed = new Map<Setup, Performance>()
  for (const setup of setups) observed.set(setup, await perform(t, make, way, setup))
  const beside = await perform(t, make, way)
  await beside.close()
  for (const [setup, each] of observed) {
    await checkBooks(t, each, setup)
    await each.close()
  }
  const after = await perform(t, make, way)
  await after.close()

  for (const [setup, { recorder }] of observed) {
    t.same(differingScenes(bare.recorder.record, recorder.record), setup === 'last' ? { start: PAGE_ROUTE } : {}, `scenes, ${setup}`)
    t.same(differingShapes(bare, observed.get(setup) as Performance), shapesOnPurpose(way, Object.keys(bare.recorder.shapes)), `shapes, ${setup}`)
    t.same([...recorder.frames].sort(), framesOnPurpose(way, setup), `frames, ${setup}`)
    t.same(newWarnings(bare, observed.get(setup) as Performance), [], `warnings, ${setup}`)
  }
  for (const [when, another] of Object.entries({ beside, after })) {
    t.same(differingScenes(bare.recorder.record, another.recorder.record), {}, `scenes of a bare one ${when}`)
    for (const [place, differ] of Object.entries(differingShapes(bare, another))) t.same(differ, [], `shapes of a bare one ${when}, ${place}`)
    t.same([...another.recorder.frames], [...bare.recorder.frames], `frames of a bare one ${when}`)
    t.same(newWarnings(bare, another), [], `warnings of a bare one ${when}`)
  }
}

/** That an application was observed at all, and without trouble. */
async function checkBooks (t: Test, { app, recorder }: Performance, setup: Setup): Promise<void> {
  const page = new Page(await app.metrics.render())
  const answered = Object.values(recorder.record).filter((notes) => notes.some((note) => note.startsWith('onRequest '))).length
  t.ok(page.sum('http_requests_received_total') >= answered, `${answered} scenes with requests are counted, ${setup}`)
  t.ok(page.sum('http_handler_duration_seconds_count') > 0, `handlers are bracketed, ${setup}`)
  t.equal(page.sum('metrics_instrumentation_errors_total'), 0, `no trouble, ${setup}`)
}

function shapesOnPurpose (way: Way, places: readonly string[]): Record {
  const isInjected = way.startsWith('inject')
  const all = way === 'HTTP/2' ? [...EVERYWHERE, ...WATCHED_STREAM] : isInjected ? [...EVERYWHERE, ...INJECTED] : EVERYWHERE
  return Object.fromEntries(places.map((place) => [place, (place.startsWith('POST') ? [...all, ...isInjected ? INJECTED_CHAIN : COUNTED_BODY] : [...all]).sort()]))
}

/** Where frames of ours are on the stacks of errors: what runs in the turn of our hook, of inject(), and of a chunk of a body. */
function framesOnPurpose (way: Way, setup: Setup): string[] {
  return [
    'node:diagnostics_channel',
    'src/http/instrument.ts',
    'src/http/entrances.ts',
    ...way === 'HTTP/2' ? ['src/http/body-count.ts'] : [],
    ...setup === 'all metrics' ? ['AsyncLocalStorage.run', 'src/instrumentation/usage.ts'] : []
  ].sort()
}

/** Every scene of two records that is not the same, as what the one has and the other has not. */
function differingScenes (bare: Record, observed: Record): Record {
  const names = new Set([...Object.keys(bare), ...Object.keys(observed)])
  return Object.fromEntries([...names].flatMap((name) => {
    if (JSON.stringify(bare[name]) === JSON.stringify(observed[name])) return []
    const differ = differences(bare[name], observed[name])
    return [[name, differ.length > 0 ? differ : ['the same in another order:', ...bare[name] ?? [], 'and', ...observed[name] ?? []]]]
  }))
}

/** What each place of an application shows more or less than a bare one does. */
function differingShapes (bare: Performance, observed: Performance): Record {
  return Object.fromEntries(Object.entries(bare.recorder.shapes).map(([place, shapes]) => [place, differences(shapes, observed.recorder.shapes[place])]))
}

/** Warnings that the bare application did not give. Fastify and Node give each of theirs once a process, so the other way round says nothing. */
function newWarnings (bare: Performance, observed: Performance): string[] {
  return observed.recorder.warnings.filter((warning) => !bare.recorder.warnings.includes(warning))
}
