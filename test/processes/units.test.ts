import { existsSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../support/temporary-folder.js'
import { valueOf } from './fleet.js'
import { Unit } from './apart.js'

/*
 * Processes that are started apart, as the units of systemd are: they answer as one where somebody says that they shall, or where one has forked the others, and
 * nowhere else.
 */
const WALKS = /^walks_total /
const REQUESTS = /^http_request_duration_seconds_count\{.*route="\/walk"/

const start = (t: Test, kind: 'app' | 'server' | 'contribute', options: unknown, env: Record<string, string> = {}, children: readonly string[] = []) =>
  Unit.start(t, ['unit.js', kind, JSON.stringify(options), ...children], { env })
const read = async (url: string) => await (await fetch(url)).text()
const pagesOf = async (...units: readonly Unit[]) => await Promise.all(units.flatMap(({ words }) => words).map(read))
const live = (page: string) => valueOf(page, /^metrics_processes\{state="live"\}/)
const ended = (page: string) => valueOf(page, /^metrics_processes\{state="ended"\}/)
/** The values of the label `process`. */
const numbers = (page: string) => new Set([...page.matchAll(/[{,]process="([^"]*)"/g)].map(([, number]) => number))

async function walk (url: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await (await fetch(url.replace('/metrics', '/walk'))).text()
}

t.test('processes of any kind that are started apart answer as one, by the option and by the environment variable', async (t) => {
  const dir = join(await temporaryFolder(t, 'u'), 'a')
  const option = { processes: { dir } }
  const variable = { FASTIFY_PROMETHEUS_PROCESSES: dir }
  const [one, two, server, queue] = await Promise.all([start(t, 'app', {}, variable), start(t, 'app', option), start(t, 'server', {}, variable), start(t, 'contribute', option)])
  await Promise.all([walk(one.words[0] as string, 3), walk(two.words[0] as string, 5)])
  for (const [i, unit] of [queue, server, two, one].entries()) {
    await unit.tell(`count ${10 ** i}`)
    for (const page of await pagesOf(one, two, server)) {
      t.equal(valueOf(page, WALKS), [1, 11, 111, 1111][i], 'the sum of all')
      for (const kind of ['histogram', 'summary']) t.equal(valueOf(page, new RegExp(`^distance_${kind}_count`)), i + 1, `a ${kind}, of which others have no series yet`)
    }
  }
  for (const page of await pagesOf(one, two, server)) {
    t.equal(valueOf(page, REQUESTS), 8, 'the requests that two of them had')
    t.equal(live(page), 4)
    t.equal(numbers(page).size, 2, 'those that have metrics of the runtime are told apart')
    t.same(page.match(/^metrics_instrumentation_errors_total.* [1-9].*$/gm) ?? [], [], 'nothing is wrong')
  }
  await queue.end('end')
  await one.end('end')
  for (const page of await pagesOf(two, server)) {
    t.equal(valueOf(page, WALKS), 1111, 'nothing is lost')
    t.equal(valueOf(page, REQUESTS), 8)
    t.equal(live(page), 2)
    t.equal(ended(page), 2)
  }
  const again = await start(t, 'app', {}, variable)
  await again.tell('count 10000')
  for (const page of await pagesOf(two, server, again)) {
    t.equal(valueOf(page, WALKS), 11_111, 'who is started again goes on')
    t.equal(live(page), 3)
    t.equal(numbers(page).size, 2)
    t.ok([...numbers(page)].every((number) => Number(number) < 4), 'with a number that was free')
  }
})

t.test('services with directories of their own never mix', async (t) => {
  const folder = await temporaryFolder(t, 'u')
  const services = await Promise.all(['a', 'ab'].map(async (name, i) => {
    const options = { processes: { dir: join(folder, name) } }
    const [server, queue] = await Promise.all([start(t, 'server', options), start(t, 'contribute', options)])
    for (const unit of [server, queue]) await unit.tell(`count ${10 ** i}`)
    return { server, queue }
  }))
  for (const [i, { server }] of services.entries()) {
    const [page = ''] = await pagesOf(server)
    t.equal(valueOf(page, WALKS), 2 * 10 ** i)
    t.equal(live(page), 2)
  }
  await services[0]?.queue.end('end')
  const states = (await pagesOf(...services.map(({ server }) => server))).map((page) => [live(page), ended(page)])
  t.same(states, [[1, 1], [2, 0]], 'who ends is missed by its own alone')
})

t.test('services that the same shell started never mix where nobody gave a directory', async (t) => {
  const TMPDIR = await temporaryFolder(t, 'u')
  const unit = fileURLToPath(new URL('unit.js', import.meta.url))
  // A shell gives what it starts in the background no input.
  const shell = await Unit.start(t, ['-c', `exec 3<&0
    "$0" "$1" app '{"processes":true}' <&3 &
    FASTIFY_PROMETHEUS_PROCESSES=1 "$0" "$1" app '{}' <&3 &
    wait`, process.execPath, unit], { env: { TMPDIR }, program: '/bin/sh' })
  const urls = [...shell.words, ...(await shell.line()).split(' ').slice(1)]
  t.equal(urls.length, 2)
  for (const [i, url] of urls.entries()) await walk(url, i + 1)
  for (const [i, url] of urls.entries()) {
    const page = await read(url)
    t.equal(valueOf(page, REQUESTS), i + 1, 'its own alone')
    t.equal(live(page), 1)
  }
})

t.test('what a process forks meets it, and nobody else', async (t) => {
  const env = { TMPDIR: await temporaryFolder(t, 'u') }
  const [one, two] = await Promise.all([
    start(t, 'server', { processes: true }, env, ['app', 'contribute']),
    start(t, 'app', { processes: true }, env, ['contribute'])
  ])
  const alone = await start(t, 'app', { processes: true }, env)
  t.equal(one.words.length, 2)
  await walk(one.words[1] as string, 2)
  await one.tell('count 1')
  await two.tell('count 10')
  await alone.tell('count 100')
  for (const page of await pagesOf(one)) {
    t.equal(valueOf(page, WALKS), 3)
    t.equal(valueOf(page, REQUESTS), 2)
    t.equal(live(page), 3)
  }
  for (const page of await pagesOf(two)) {
    t.equal(valueOf(page, WALKS), 20)
    t.equal(live(page), 2)
  }
  for (const page of await pagesOf(alone)) {
    t.equal(valueOf(page, WALKS), 100)
    t.equal(live(page), 1)
  }
})

t.test('a process that nobody forked begins from zero where nobody gave a directory', async (t) => {
  const TMPDIR = await temporaryFolder(t, 'u')
  const before = await start(t, 'server', { processes: true }, { TMPDIR })
  await before.tell('count 5')
  await before.end('end')
  const after = await start(t, 'server', { processes: true }, { TMPDIR })
  await after.tell('count 1')
  const [page = ''] = await pagesOf(after)
  t.equal(valueOf(page, WALKS), 1)
  t.equal(ended(page), 0)
})

/** The listening sockets with a path that a process has. */
async function socketsOf (pid: number): Promise<string[]> {
  const paths = new Map((await readFile('/proc/net/unix', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/)).filter(({ length }) => length > 7).map((fields) => [fields[6], fields[7] as string]))
  const links = await Promise.all((await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')))
  return links.flatMap((link) => paths.get(/^socket:\[(\d+)\]$/.exec(link)?.[1]) ?? [])
}

/** A page without what differs from process to process. */
const shape = (page: string) => page.replace(/^([^#].*) \S+$/gm, '$1').replace(/^nodejs_.*\n/gm, '')

t.test('where nobody says anything there is no directory, no socket, and nothing on the page', async (t) => {
  const off = await Promise.all(([
    ['the option is false', { processes: false }, {}],
    ['neither', {}, {}],
    ['a variable that is 0', {}, { FASTIFY_PROMETHEUS_PROCESSES: '0' }],
    ['the option is false, and the variable is not', { processes: false }, { FASTIFY_PROMETHEUS_PROCESSES: '1' }]
  ] as const).map(async ([how, options, env]) => {
    const TMPDIR = await temporaryFolder(t, 'u')
    const app = await start(t, 'app', options, { TMPDIR, ...env })
    await app.tell('count 1')
    await walk(app.words[0] as string, 2)
    const [page = ''] = await pagesOf(app)
    t.equal(valueOf(page, REQUESTS), 2)
    t.same(await readdir(TMPDIR), [], `${how}: no directory`)
    if (existsSync('/proc/net/unix')) t.same(await socketsOf(app.pid), [], `${how}: no socket`)
    t.same(numbers(page), new Set(), `${how}: no process`)
    t.notMatch(page, /metrics_processes|metrics_contribution|source="processes"/)
    return shape(page)
  }))
  for (const page of off) t.equal(page, off[0], 'the same page')
  const on = await start(t, 'app', { processes: true }, { TMPDIR: await temporaryFolder(t, 'u') })
  if (existsSync('/proc/net/unix')) t.equal((await socketsOf(on.pid)).length, 1, 'it would be seen')
})
