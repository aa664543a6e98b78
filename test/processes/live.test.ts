import t from 'tap'
import type { LiveNumbers } from '../../src/index.js'
import { events } from '../support/event-stream.js'
import { temporaryFolder } from '../support/temporary-folder.js'
import { Fleet, valueOf, type Worker } from './fleet.js'

/** What the live page of a worker is told until something holds. */
async function until (told: Awaited<ReturnType<typeof events>>, holds: (live: LiveNumbers) => boolean): Promise<LiveNumbers> {
  for (;;) {
    const live = (await told.next()).data
    if (holds(live)) return live
  }
}

const rateOf = (live: LiveNumbers) => live.summary.find(({ id }) => id === 'requests')?.value ?? 0
const inFlightOf = (live: LiveNumbers) => live.summary.find(({ id }) => id === 'in_flight')?.value

t.test('whichever process is looked at shows all of them', async (t) => {
  const fleet = await Fleet.start(t, 3, 100, await temporaryFolder(t, 'live'), 'live')
  const [one, two, three] = fleet.workers as [Worker, Worker, Worker]
  const told = await events(t, `${one.url}/metrics/live/events`)
  const first = await until(told, ({ about }) => about.processes === 3)
  t.equal(first.about.pid, one.pid)

  for (let i = 0; i < 30; i++) await (await fetch(`${two.url}/walk`)).text()
  const waiting = fetch(`${three.url}/wait/6000`).then((response) => response.text())
  const busy = await until(told, (live) => rateOf(live) > 0 && inFlightOf(live) === 1)
  t.match(busy.routes.find(({ route }) => route === '/walk'), { method: 'GET', errors: 0 })
  const other = await (await fetch(`${two.url}/metrics/live.json`)).json() as LiveNumbers
  t.equal(other.about.pid, two.pid)
  t.match(other.about, { processes: 3 }, 'the other one says so too')
  const whole = await (await fetch(`${one.url}/metrics/live.json`)).json() as LiveNumbers
  const utilisation = whole.charts.find(({ id }) => id === 'process.utilisation.all')?.lines[0]?.values.at(-1)
  t.ok(typeof utilisation === 'number' && utilisation > 0 && utilisation <= 1, `all event loops are busy ${utilisation} of the time`)
  t.same([...new Set(whole.charts.map(({ id, of }) => `${id} ${of}`))].filter((each) => /^(http.requests|process.loop|process.utilisation.all|process.memory.all) /.test(each)), ['http.requests all', 'process.loop process', 'process.utilisation.all all', 'process.memory.all all'])
  await waiting

  fleet.signal(three, 'SIGKILL')
  await fleet.full(3)
  const isEnd = ({ text }: LiveNumbers['marks'][number]) => text === 'a process ended'
  const after = await until(told, ({ marks, about }) => marks.some(isEnd) && about.processes === 3)
  const { time: end = Infinity } = after.marks.find(isEnd) ?? {}
  t.ok(after.marks.some(({ text, time }) => text === 'a process started' && time >= end), 'the one that ended and the one in its place are marked')
  t.ok(rateOf(after) >= 0)
  const last = await (await fetch(`${one.url}/metrics/live.json`)).json() as LiveNumbers
  t.ok(last.charts.flatMap(({ unit, lines }) => unit === 'per second' ? lines.flatMap(({ values }) => values) : []).every((value) => value === null || value >= 0), 'nothing goes back')
})

t.test("a look at other processes takes nothing from a scrape's numbers", async (t) => {
  const fleet = await Fleet.start(t, 2, 100, await temporaryFolder(t, 'live'), 'live')
  const [one, two] = fleet.workers as [Worker, Worker]
  await (await fetch(`${two.url}/metrics`)).text()
  const told = await events(t, `${one.url}/metrics/live/events`)
  await told.next()
  await told.next()
  await (await fetch(`${two.url}/block/300`)).text()
  await told.next()
  await told.next()
  const page = await (await fetch(`${two.url}/metrics`)).text()
  t.ok(valueOf(page, /^nodejs_eventloop_lag_max_seconds\{/) > 0.2, 'the delay is there still')
  t.notMatch(page, /^metrics_instrumentation_errors_total\{/m)
})
