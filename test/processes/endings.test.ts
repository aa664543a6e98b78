import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ContributionFile } from '../../src/processes/contribution-file.js'
import { temporaryFolder } from '../support/temporary-folder.js'
import { Unit } from './apart.js'
import { Fleet, valueOf } from './fleet.js'

/*
 * What is left of what a process counted when it ends in one way or another.
 */
const WAYS = [
  'exit', 'falls off the end', 'uncaught exception', 'unhandled rejection', 'signal with a handler', 'disconnect', 'primary is killed', 'contribution.close', 'app.close', 'server.close'
] as const
type Way = typeof WAYS[number]

const WALKS = /^walks_total /
/** Nobody writes that long but who ends or is asked. */
const MINUTE = 60_000
const LIBRARIES = ['own', 'prom_client', 'prometheus_io', 'platformatic']

/** A process that counts only once it is about to end. */
async function begin (t: Test, way: Way, dir: string): Promise<() => Promise<void>> {
  const unit = await Unit.start(t, ['ending.js', way, JSON.stringify({ dir, flushInterval: MINUTE })], { errors: /exception|rejection/.test(way) ? 'ignore' : 'inherit' })
  return () => way === 'signal with a handler' ? unit.signal('SIGTERM') : unit.end('end')
}

async function look (t: Test, dir: string): Promise<{ page: () => Promise<string> }> {
  const { words: [url = ''] } = await Unit.start(t, ['unit.js', 'server', JSON.stringify({ processes: { dir } })])
  return { page: async () => await (await fetch(url)).text() }
}

/** What is missing of what was observed of dogs, which is one number of each dog or several. */
function missing (page: string, way: Way, prefix: string, observed: Readonly<Record<string, readonly number[]>>): string[] {
  const wrong: string[] = []
  for (const library of LIBRARIES) {
    const check = (what: string, dog: string, more: string, value: number) => {
      const name = `${prefix}_${library}_${what}`
      const labels = [`how="${way}"`, `dog="${dog}"`, ...more === '' ? [] : [`le="${more}"`]]
      // No two libraries have the labels in the same order.
      const lines = page.split('\n').filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
      const found = lines.map((line) => Number(line.slice(line.lastIndexOf(' '))))
      if (found.length !== 1 || found[0] !== value) wrong.push(`${name} of ${labels.join()} is ${found.join(' and ') || 'missing'}, not ${value}`)
    }
    for (const [dog, numbers] of Object.entries(observed)) {
      const sum = numbers.reduce((sum, number) => sum + number)
      check('walks_total', dog, '', sum)
      for (const kind of library === 'own' ? ['distance'] : ['distance', 'weight']) {
        check(`${kind}_sum`, dog, '', sum)
        check(`${kind}_count`, dog, '', numbers.length)
      }
      for (const bound of [1, 50]) check('distance_bucket', dog, `${bound}.0`, numbers.filter((number) => number <= bound).length)
    }
  }
  return wrong
}

/** All that ending.js counted is there. */
function whole (t: Test, page: string, ways: readonly Way[]): void {
  for (const way of ways) {
    t.same(missing(page, way, 'early', { Rex: [1, 10], Waldi: [100] }), [], `${way}: what was counted before, and at the last moment`)
    t.same(missing(page, way, 'first', { Rex: [7] }), [], `${way}: what was counted for the first time at the last moment`)
    t.same(missing(page, way, 'made_late', { Rex: [8] }), [], `${way}: metrics that were made at the last moment`)
  }
}

t.test('who ends in any way but SIGKILL loses nothing, though nobody looks before', async (t) => {
  const dir = await temporaryFolder(t, 'e')
  const all = [...WAYS]
  const endAll = async () => {
    for (let way = all.shift(); way !== undefined; way = all.shift()) await (await begin(t, way, dir))()
  }
  await Promise.all([endAll(), endAll()])
  const page = await (await look(t, dir)).page()
  whole(t, page, WAYS)
  t.match(page, `metrics_processes{state="ended"} ${WAYS.length}\n`)
})

t.test('who ends loses nothing of what it counts after somebody has looked', async (t) => {
  const dir = await temporaryFolder(t, 'e')
  const { page } = await look(t, dir)
  const ways = ['exit', 'disconnect', 'app.close'] as const
  const ends = await Promise.all(ways.map((way) => begin(t, way, dir)))
  const before = await page()
  t.match(before, 'metrics_processes{state="live"} 4\n')
  for (const way of ways) t.same(missing(before, way, 'early', { Rex: [1] }), [], `${way}: what was counted before`)
  for (const end of ends) await end()
  const after = await page()
  whole(t, after, ways)
  t.match(after, 'metrics_processes{state="live"} 1\n')
  whole(t, await page(), ways)
})

/** What the files of processes have of walks_total. */
async function written (dir: string): Promise<number> {
  let sum = 0
  for (const name of await readdir(dir)) {
    const file = /^[^.]{16}\.snap$/.test(name) && !name.startsWith('ledger') ? await ContributionFile.open(join(dir, name)) : undefined
    if (file === undefined) continue
    for (const { definition, numbers } of await file.families()) if (definition.name === 'walks_total') sum += numbers[0] as number
    await file.close()
  }
  return sum
}

t.test('SIGKILL loses what was counted since the last write, and no more', async (t) => {
  const dir = await temporaryFolder(t, 'e')
  const start = (flushInterval: number) => Unit.start(t, ['unit.js', 'contribute', JSON.stringify({ processes: { dir, flushInterval } })])
  const [{ page }, slow, fast] = await Promise.all([look(t, dir), start(MINUTE), start(50)])
  await slow.tell('count 5')
  t.equal(valueOf(await page(), WALKS), 5)
  await slow.tell('count 100')
  await slow.signal('SIGKILL')
  t.equal(valueOf(await page(), WALKS), 5, 'what a page has shown stays')
  await fast.tell('count 1000')
  // What the slow one had may move into the ledger meanwhile.
  while (await written(dir) < 1000) await sleep(5)
  await fast.signal('SIGKILL')
  t.equal(valueOf(await page(), WALKS), 1005, 'what was written stays, though nobody has looked')
  t.match(await page(), 'metrics_processes{state="ended"} 2\n')
})

t.test('who is stopped, and who is blocked, is on the page in time with what it wrote last', async (t) => {
  const fleet = await Fleet.start(t, 2, 50)
  const [one, other] = fleet.workers as [{ pid: number, url: string }, { pid: number, url: string }]
  const walk = async ({ url }: { url: string }, times: number) => { for (let i = 0; i < times; i++) await (await fetch(`${url}/walk`)).text() }
  /** A scrape with a timeout of two seconds. */
  const scrape = async () => {
    const began = performance.now()
    const page = await (await fetch(`${one.url}/metrics`, { headers: { 'x-prometheus-scrape-timeout-seconds': '2' } })).text()
    return {
      milliseconds: performance.now() - began,
      walks: valueOf(page, /^http_request_duration_seconds_count\{.*route="\/walk"/),
      live: valueOf(page, /^metrics_processes\{state="live"\}/),
      silent: valueOf(page, /^metrics_processes\{state="silent"\}/),
      oldest: valueOf(page, /^metrics_contribution_oldest_seconds /)
    }
  }
  /** Until so many are silent. A request is counted once its connection knows that it is over, which may be after the client has the answer. */
  const until = async (silent: number, walks: number) => {
    let seen = await scrape()
    while (seen.silent !== silent || seen.walks < walks) seen = await scrape()
    return seen
  }
  await walk(one, 2)
  await walk(other, 3)
  t.match(await until(0, 5), { walks: 5, live: 2 })

  fleet.signal(other, 'SIGSTOP')
  await walk(one, 1)
  let oldest = 0
  for (let i = 0; i < 2; i++) {
    const seen = await scrape()
    t.match(seen, { walks: 6, live: 1, silent: 1 }, 'stopped')
    t.ok(seen.milliseconds < 1500, `in time: ${Math.round(seen.milliseconds)} ms`)
    t.ok(seen.oldest > oldest, `its numbers get older: ${seen.oldest} seconds`)
    oldest = seen.oldest
  }
  fleet.signal(other, 'SIGCONT')
  await walk(other, 1)
  t.match(await until(0, 7), { walks: 7, live: 2 })

  let isBlocked = true
  const blocked = fetch(`${other.url}/block/2500`).then((response) => response.text()).finally(() => { isBlocked = false })
  const seen = await until(1, 7)
  t.match(seen, { walks: 7, live: 1 }, 'blocked')
  t.ok(isBlocked)
  t.ok(seen.milliseconds < 1500, `in time: ${Math.round(seen.milliseconds)} ms`)
  t.ok(seen.oldest > 0)
  await blocked
  t.match(await until(0, 7), { walks: 7, live: 2 })
})
