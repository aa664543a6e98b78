import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import * as testing from '../../src/testing/index.js'
import { everyBlockIsTaken, guide } from '../support/guide.js'
import { unpackPackage } from '../support/package-folder.js'

/*
 * docs/testing.md: its application is tested by its files, each with the test runner it is for, and what it says of registries, clocks and files in parallel is so.
 */
const modules = join(fileURLToPath(new URL('../..', import.meta.url)), 'node_modules')
const page = guide('testing')
const folder = await unpackPackage(t)
await writeFile(folder.join('app.js'), page.code('js', 'export function buildApp'))
await writeFile(folder.join('counters.js'), page.code('js', 'export const barks'))

/** The code of a file with another text in one place, so that one of its tests fails. @throws Error where the text is not in it */
function broken (code: string, right: string, wrong: string): string {
  if (!code.includes(right)) throw new Error(`there is no ${right} in\n${code}`)
  return code.replace(right, wrong)
}

/** What a runner of tests printed, whether they passed or not. */
async function said (args: readonly string[]): Promise<string> {
  return await folder.output(process.execPath, args, { CI: 'true' }).catch(({ stdout, stderr }: { stdout: string, stderr: string }) => stdout + stderr)
}

/** The runners: each runs files, and says how many of their tests passed and failed. */
const runners = {
  async 'node:test' (...files: string[]) {
    const printed = await said(['--test', '--test-reporter=tap', ...files])
    return { printed, passed: Number(/^# pass (\d+)$/m.exec(printed)?.[1]), failed: Number(/^# fail (\d+)$/m.exec(printed)?.[1]) }
  },
  async tap (...files: string[]) {
    const printed = await said([join(modules, 'tap/dist/esm/run.mjs'), '--reporter=tap', '--disable-coverage', ...files])
    return { printed, passed: printed.match(/^ {4}ok /gm)?.length ?? 0, failed: printed.match(/^ {4}not ok /gm)?.length ?? 0 }
  },
  async vitest (...args: string[]) {
    const printed = await said([join(modules, 'vitest/vitest.mjs'), 'run', '--reporter=json', '--no-cache', ...args])
    const { numPassedTests, numFailedTests } = JSON.parse(printed.slice(printed.indexOf('{'))) as { numPassedTests: number, numFailedTests: number }
    return { printed, passed: numPassedTests, failed: numFailedTests }
  }
}

/** The files of the page: where each stands, its runner, its tests, and what makes one of them fail. */
const FILES: Array<[mark: string, file: string, runner: keyof typeof runners, tests: number, right: string, wrong: string]> = [
  ["test('a walk is counted when it is booked'", 'walks.test.js', 'node:test', 2, "'walks_booked_total', { size: 'xl' }, 1", "'walks_booked_total', { size: 'xl' }, 2"],
  ["import t from 'tap'", 'walks.tap.js', 'tap', 1, "scheme: 'http'", "scheme: 'https'"],
  ['app = buildApp({ registry })\n  await app.ready()\n})', 'walks.spec.js', 'vitest', 2, "{ size: 's' }, 1", "{ size: 's' }, 2"],
  ['register.resetMetrics()', 'counters.test.js', 'node:test', 2, 'beforeEach(() => register.resetMetrics())\n', ''],
  ['AbortController', 'port.test.js', 'node:test', 1, "status_code: '499'", "status_code: '200'"],
  ['vi.useFakeTimers()', 'clock.spec.js', 'vitest', 1, 'vi.useFakeTimers()', 'vi.useFakeTimers({ toFake: ["Date"] })'],
  ['@sinonjs/fake-timers', 'clock.test.js', 'node:test', 1, "['hrtime']", "['Date']"],
  ['deepStrictEqual', 'snapshot.test.js', 'node:test', 1, 'value: 2 }', 'value: 3 }']
]

for (const [mark, file, runner, tests, right, wrong] of FILES) {
  t.test(`${file} passes in ${runner}, and fails where it is wrong`, async (t) => {
    const code = page.code('js', mark)
    await writeFile(folder.join(file), code)
    const { passed, failed, printed } = await runners[runner](file)
    t.same([passed, failed], [tests, 0], printed)
    await writeFile(folder.join(`wrong.${file}`), broken(code, right, wrong))
    t.equal((await runners[runner](`wrong.${file}`)).failed, 1)
  })
}

t.test('the commands are of the files', (t) => {
  for (const [command, file] of [['node --test', 'walks.test.js'], ['npx tap walks.tap.js', 'walks.tap.js'], ['npx vitest run', 'walks.spec.js']] as const) {
    t.equal(page.code('sh', command), `${command}\n`)
    t.match(page.text, `\`${file}\`:\n`)
  }
  t.end()
})

t.test('the helpers are those there are', (t) => {
  const rows = page.table('helper', 'passes when')
  t.same(rows.map(([call = '']) => /^`(\w+)\(/.exec(call)?.[1]).sort(), Object.keys(testing).sort())
  t.end()
})

t.test('a series that is not there fails with those that are', async (t) => {
  const failure = page.code('text', 'there is no series')
  t.equal(await folder.node('failure.js', `import { assertSeries } from 'fastify-prometheus/testing'
import { Registry } from 'prom-client'
import { buildApp } from './app.js'
const registry = new Registry()
const app = buildApp({ registry })
await app.inject({ method: 'POST', url: '/walks', payload: { size: 'xl' } })
await assertSeries(registry, 'walks_booked_total', { size: 'm' }, 1).catch(({ name, message }) => console.log(name + '\\n' + message))
for (const [name, labels] of [['walks_bokked_total', { size: 'xl' }], ['walks_booked_total', { sise: 'xl' }]]) {
  await assertSeries(registry, name, labels, 0).catch(({ name }) => console.log(name))
}
await app.close()
`), `AssertionError\n${failure}AssertionError\nAssertionError\n`)
})

t.test('a second application of the global registry says so, and none where the first is closed', async (t) => {
  const warning = page.code('text', 'another open application').trim()
  const printed = await folder.node('shared.js', `import { metricsPlugin } from 'fastify-prometheus'
import { snapshot } from 'fastify-prometheus/testing'
import Fastify from 'fastify'
import { Registry, register } from 'prom-client'
const lines = []
const logger = { level: 'warn', stream: { write: (line) => lines.push(JSON.parse(line).msg) } }
const start = async (options) => {
  const app = Fastify({ logger })
  app.register(metricsPlugin, options)
  app.get('/', async () => 'x')
  await app.ready()
  await app.inject('/')
  return app
}
const count = async (registry) => (await snapshot(registry)).value('http_requests_received_total', { method: 'GET', route: '/', scheme: 'http' })
const first = await start()
const second = await start()
console.log(lines.splice(0).join('\\n'))
await first.close()
await second.close()
console.log(await count(register))
await (await start()).close()
const registry = new Registry()
const [a, b] = [await start({ registry }), await start({ registry: new Registry(), runtime: false })]
console.log(lines.length, await count(registry), (await b.metrics.render()).includes('process_'), (await a.metrics.render()).includes('process_'))
await a.close()
await b.close()
console.log(await count(registry))
`)
  t.equal(printed, `${warning}\n2\n0 1 false true\n1\n`)
})

t.test('resetMetrics() and clear() do what the table says', async (t) => {
  const printed = await folder.node('again.js', `import { snapshot } from 'fastify-prometheus/testing'
import { Registry } from 'prom-client'
import { buildApp } from './app.js'
const registry = new Registry()
const app = buildApp({ registry })
await app.ready()
const book = () => app.inject({ method: 'POST', url: '/walks', payload: { size: 'xl' } })
const say = async (what) => {
  const now = await snapshot(registry)
  const received = now.value('http_requests_received_total', { method: 'POST', route: '/walks', scheme: 'http' })
  console.log(what, now.names.length > 0, received, now.value('walks_booked_total', { size: 'xl' }), now.names.includes('nodejs_version_info'))
}
await book()
await say('begun')
registry.resetMetrics()
await say('reset')
await book()
await say('reset, booked')
registry.clear()
await book()
await say('cleared, booked')
await app.metrics.render()
await say('cleared, rendered')
await app.close()
`)
  t.same(printed.trim().split('\n'), [
    'begun true 1 1 true',
    'reset true undefined undefined true',
    'reset, booked true 1 1 true',
    'cleared, booked false undefined undefined false',
    'cleared, rendered true 1 undefined true'
  ])
})

t.test('a page on a port of its own may have any port', async (t) => {
  t.ok(page.inline.includes('endpoint: { port: 0 }'))
  t.equal(await folder.node('own-port.js', `import Fastify from 'fastify'
import { metricsPlugin } from 'fastify-prometheus'
const app = Fastify()
app.register(metricsPlugin, { endpoint: { port: 0 } })
await app.ready()
console.log((await fetch(app.metrics.server.url)).status)
await app.close()
`), '200\n')
})

t.test('clocks: of requests the time is real, and mock.timers reaches no timer', async (t) => {
  t.equal(await folder.node('clocks.js', `import { mock } from 'node:test'
import { install } from '@sinonjs/fake-timers'
import Fastify from 'fastify'
import { Histogram, metricsPlugin } from 'fastify-prometheus'
import { snapshot } from 'fastify-prometheus/testing'
import { Registry } from 'prom-client'
const registry = new Registry()
const walk = new Histogram({ name: 'walk_duration_seconds', help: 'Of the test.', registers: [registry] })
mock.timers.enable()
const end = walk.startTimer()
mock.timers.tick(90_000)
end()
mock.timers.reset()
console.log((await snapshot(registry)).value('walk_duration_seconds_sum') < 60)

const app = Fastify()
app.register(metricsPlugin, { registry })
let clock
app.get('/', async () => {
  clock.tick(90_000)
  return 'x'
})
await app.ready()
clock = install({ toFake: ['hrtime', 'performance', 'Date', 'setTimeout'] })
await app.inject('/')
console.log((await snapshot(registry)).value('http_request_duration_seconds_sum', { method: 'GET', route: '/', status_code: '200' }) < 60)
clock.uninstall()
clock = install({ toFake: ['hrtime'] })
console.log((await app.inject('/metrics')).statusCode)
clock.uninstall()
console.log((await app.inject('/metrics')).statusCode)
await app.close()
`, '--no-warnings'), 'true\ntrue\n200\n200\n')
})

t.test('files in parallel have a global registry each, and with --no-isolate of vitest they share one', async (t) => {
  const tests: Array<[runner: keyof typeof runners, head: string, ending: string]> = [
    ['node:test', "import test from 'node:test'", 'test.js'],
    ['tap', "import { test } from 'tap'", 'tap.js'],
    ['vitest', "import { test } from 'vitest'", 'spec.js']
  ]
  for (const [runner, head, ending] of tests) {
    const files = ['one', 'two'].map((name) => `alone-${name}.${ending}`)
    for (const file of files) {
      await writeFile(folder.join(file), `${head}
import { assertSeries } from 'fastify-prometheus/testing'
import { register } from 'prom-client'
import { barks } from './counters.js'
test('one bark', async () => {
  barks.inc()
  await assertSeries(register, 'barks_total', {}, 1)
})
`)
    }
    t.match(await runners[runner](...files), { passed: 2, failed: 0 }, runner)
  }
  t.match(await runners.vitest('alone-', '--no-isolate', '--no-file-parallelism'), { passed: 1, failed: 1 }, 'the second file counts on from the first')
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['testing'])
  t.same(page.untaken(['text']), [])
  t.end()
})
