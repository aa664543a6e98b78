import Fastify, { type FastifyInstance } from 'fastify'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Gauge, Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { metricsPlugin, type MetricsPluginOptions } from '../../src/index.js'
import { readService } from '../../src/runtime/service.js'
import { Page } from '../support/page.js'
import { promtoolIsContent } from '../support/promtool.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const SHA = '9c39a8d2f1b04e6a7c5d8e9f0a1b2c3d4e5f6071'
const VARIABLES = [
  'GIT_COMMIT', 'GIT_COMMIT_SHA', 'COMMIT_SHA', 'SOURCE_VERSION', 'DD_GIT_COMMIT_SHA',
  'HEROKU_BUILD_COMMIT', 'RENDER_GIT_COMMIT', 'RAILWAY_GIT_COMMIT_SHA', 'VERCEL_GIT_COMMIT_SHA', 'KOYEB_GIT_SHA'
]

/** The environment and the program have no build of their own. */
t.beforeEach((t) => {
  const { argv, env } = process
  const program = argv[1] as string
  t.teardown(() => {
    process.env = env
    argv[1] = program
  })
  process.env = { ...env }
  for (const name of [...VARIABLES, 'HEROKU_SLUG_COMMIT', 'GITHUB_SHA', 'npm_package_name', 'npm_package_version']) Reflect.deleteProperty(process.env, name)
})

/** A program in a folder of its own. */
async function program (t: Test, manifest: string, ...path: string[]): Promise<string> {
  const folder = await temporaryFolder(t, 'service')
  await writeFile(join(folder, 'package.json'), manifest)
  await mkdir(join(folder, ...path), { recursive: true })
  return join(folder, ...path, 'main.js')
}

async function application (t: Test, options: MetricsPluginOptions): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsPlugin, { registry: new Registry(), runtime: false, metrics: { app_build_info: true }, ...options })
  return app
}

const info = async (app: FastifyInstance, name = 'app_build_info') => new Page(await app.metrics.render()).of(name).map(({ labels, value }) => ({ ...labels, value }))

t.test('the option says which build runs', async (t) => {
  process.env['GIT_COMMIT'] = SHA
  const app = await application(t, { build: { version: '1.4.0-rc.1+5', commit: 'release-77' }, prefix: 'dogs_' })
  t.same(await info(app, 'dogs_app_build_info'), [{ version: '1.4.0-rc.1+5', commit: 'release-77', value: 1 }])
  promtoolIsContent(t, await app.metrics.render())
  app.metrics.registry.getMetricsAsArray()
  ;(app.metrics.registry as Registry).clear()
  t.equal((await info(app, 'dogs_app_build_info')).length, 1, 'a registry that was cleared has it again')
})

t.test('else the nearest package.json has the version, and the environment the commit', async (t) => {
  process.argv[1] = await program(t, '{"name":"walks","version":"2.0.1"}', 'dist', 'bin')
  t.same(await info(await application(t, {})), [{ version: '2.0.1', commit: '', value: 1 }])
  for (const name of VARIABLES) {
    process.env[name] = ` ${SHA}\n`
    t.same(await info(await application(t, {})), [{ version: '2.0.1', commit: SHA, value: 1 }], name)
    Reflect.deleteProperty(process.env, name)
  }
  process.env['RENDER_GIT_COMMIT'] = 'abcdef0'
  process.env['GIT_COMMIT'] = SHA
  t.equal((await info(await application(t, {})))[0]?.['commit' as never], SHA, 'what people set themselves comes first')
  t.same(await info(await application(t, { build: { commit: '1234567' } })), [{ version: '2.0.1', commit: '1234567', value: 1 }], 'the option before both')
})

t.test('what is no hash is no commit, and what is no version is no label', async (t) => {
  process.argv[1] = await program(t, JSON.stringify({ name: 'walks', version: '/srv/secret path' }))
  for (const value of ['hunter2', 'postgres://walks:hunter2@db/walks', '/home/walks', 'HEAD', '', 'abc', 'g'.repeat(40), 'a'.repeat(65)]) {
    process.env['GIT_COMMIT'] = value
    const app = await application(t, {})
    t.same(await info(app), [], `nothing is shown for ${value.length} characters`)
    t.notMatch(await app.metrics.render(), /hunter2|secret/)
  }
  process.env['SOURCE_VERSION'] = SHA
  t.same(await info(await application(t, {})), [{ version: '', commit: SHA, value: 1 }], 'another variable may have it')
  Object.assign(process.env, { SOURCE_VERSION: '', GITHUB_SHA: SHA, HEROKU_SLUG_COMMIT: SHA })
  t.same(await info(await application(t, {})), [], 'a runner of CI, and a variable that stays behind, say nothing of the build')
})

t.test('which package.json is nearest', async (t) => {
  const main = await program(t, '{"name":"walks","version":"2.0.1"}', 'dist')
  t.same(readService(main), { name: 'walks', version: '2.0.1' })
  await writeFile(join(main, '..', 'package.json'), '{"type":"commonjs"}')
  t.same(readService(main), { name: 'walks', version: '2.0.1' }, 'one without a name is of a folder, and of no service')
  await writeFile(join(main, '..', 'package.json'), 'no JSON')
  t.same(readService(main), { name: 'walks', version: '2.0.1' })
  await writeFile(join(main, '..', 'package.json'), '{"name":"inner"}')
  t.same(readService(main), { name: 'inner', version: null })
  const cli = await program(t, '{"name":"walks","version":"2.0.1"}', 'node_modules', 'fastify-cli')
  await writeFile(join(cli, '..', 'package.json'), '{"name":"fastify-cli","version":"8.0.2"}')
  t.same(readService(cli), { name: 'walks', version: '2.0.1' }, 'a program in node_modules starts the service beside')
  Object.assign(process.env, { npm_package_name: 'npm', npm_package_version: '3.0.0' })
  t.same(readService('/nowhere-at-all/main.js'), { name: 'npm', version: '3.0.0' })
})

t.test('wrong builds are refused, and what they hold is not told', async (t) => {
  for (const [build, message] of [
    ['1.0.0', /option 'build' must be an object with version and commit, got a string of 5 characters/],
    [{ version: 1 }, /option 'build\.version' must be at most 64 letters, .* got 1$/],
    [{ version: '' }, /option 'build\.version' must be .* got ''/],
    [{ commit: 'a/b' }, /option 'build\.commit' must be .* got a string of 3 characters/],
    [{ commit: 'a'.repeat(65) }, /option 'build\.commit'/],
    [{ sha: SHA }, /option 'build\.sha' must be version or commit, got a string of 40 characters/]
  ] as Array<[unknown, RegExp]>) await t.rejects(application(t, { build: build as never }), { code: 'FP_ERR_INVALID_OPTION', message })
})

t.test('applications of one registry each show theirs until they close; a metric of the user stays what it is', async (t) => {
  const registry = new Registry()
  const one = await application(t, { registry, build: { version: '1' } })
  const two = await application(t, { registry, build: { version: '1' } })
  const three = await application(t, { registry, build: { version: '2' } })
  t.same(await info(one), [{ version: '1', commit: '', value: 1 }, { version: '2', commit: '', value: 1 }])
  await one.close()
  await three.close()
  t.same(await info(two), [{ version: '1', commit: '', value: 1 }])
  const users = new Registry()
  const own = new Gauge({ name: 'app_build_info', help: 'Mine.', registers: [users] })
  own.set(7)
  t.same(await info(await application(t, { registry: users, build: { version: '1' } })), [{ value: 7 }])
})
