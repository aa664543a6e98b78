import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { createRequire } from 'node:module'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { metricsPlugin } from '../../src/index.js'
import { instrumentLogger, type LoggerLike } from '../../src/runtime/logger.js'
import { Page } from '../support/page.js'
import { promtoolIsContent } from '../support/promtool.js'

interface Pino extends LoggerLike {
  level: string
  child (bindings: object, options?: object): Pino
  info (...line: unknown[]): void
  warn (...line: unknown[]): void
  error (...line: unknown[]): void
  debug (...line: unknown[]): void
  trace (...line: unknown[]): void
  fatal (...line: unknown[]): void
  notice (...line: unknown[]): void
}
type MakePino = (options: object, stream: { write: (line: string) => void }) => Pino

const require = createRequire(import.meta.url)
const versions: Array<[version: string, pino: MakePino]> = [
  ['pino 10', require('pino') as MakePino],
  ['pino 9', createRequire(require.resolve('fastify-5.0'))('pino') as MakePino]
]

const lines = async (registry: Registry, name = 'log_messages_total'): Promise<Record<string, number>> => {
  const { samples } = new Page(await registry.metrics())
  return Object.fromEntries(samples.filter((sample) => sample.name === name && sample.value > 0).map(({ labels, value }) => [labels['level'] as string, value]))
}

/** A logger whose lines are kept. */
function logger (pino: MakePino, options: object = {}): { log: Pino, written: string[] } {
  const written: string[] = []
  return { log: pino({ level: 'info', base: null, timestamp: false, ...options }, { write: (line) => { written.push(line) } }), written }
}

for (const [version, pino] of versions) {
  t.test(version, async (t) => {
    t.test('each line that is written is counted under its level, and no other', async (t) => {
      const registry = new Registry()
      const { log, written } = logger(pino)
      const early = log.child({ early: true })
      const strict = log.child({}, { level: 'error' })
      const undo = instrumentLogger(log, { registry })
      promtoolIsContent(t, await registry.metrics())
      t.same(new Page(await registry.metrics()).values('log_messages_total', 'level'), ['debug', 'error', 'fatal', 'info', 'trace', 'warn'], 'each level is there from the start')
      log.info('one')
      log.debug('not written')
      log.error(new Error('two'))
      early.warn({ three: 3 }, 'of a child that was made before')
      strict.warn('not written')
      strict.error('four')
      log.child({}, { level: 'trace' }).trace('five')
      log.child({}).child({}).info('six')
      log.level = 'debug'
      log.debug('seven')
      early.debug('not written: a child without a level of its own keeps what it was made with, or follows')
      log.level = 'silent'
      log.fatal('not written')
      strict.level = 'info'
      strict.info('eight')
      const counted = await lines(registry)
      t.equal(Object.values(counted).reduce((sum, count) => sum + count, 0), written.length)
      const levels: Record<number, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }
      const found: Record<string, number> = {}
      for (const line of written) {
        const level = levels[(JSON.parse(line) as { level: number }).level] as string
        found[level] = (found[level] ?? 0) + 1
      }
      t.same(counted, found)
      t.ok(written.length >= 8)
      undo()
      strict.info('after the undo')
      t.same(await lines(registry), found)
    })

    t.test('levels of its own, of a child, and too many of them', async (t) => {
      const registry = new Registry()
      const { log, written } = logger(pino, { customLevels: { notice: 35 }, formatters: { level: (label: string) => ({ severity: label }) } })
      instrumentLogger(log, { registry })
      log.notice('one')
      const child = log.child({}, { customLevels: { audit: 36 } }) as Pino & { audit (line: string): void }
      const other = log.child({}, { customLevels: { access: 36 } }) as Pino & { access (line: string): void }
      child.audit('of one child')
      other.access('of another, with the same number')
      t.same(await lines(registry), { notice: 1, audit: 1, access: 1 })
      const many = log.child({}, { customLevels: Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`level${i}`, 1000 + i])) }) as unknown as Record<string, (line: string) => void>
      for (let i = 0; i < 50; i++) many[`level${i}`]?.(`line ${i}`)
      const counted = await lines(registry)
      t.ok(Object.keys(counted).length <= 21, 'levels are bounded')
      t.ok(counted['_OTHER'] as number > 0)
      t.equal(Object.values(counted).reduce((sum, count) => sum + count, 0), written.length)
    })

    t.test('a logMethod of the application decides first, and a line that fails is none', async (t) => {
      const registry = new Registry()
      const { log, written } = logger(pino, {
        hooks: {
          logMethod (this: unknown, args: [string], method: (...args: unknown[]) => void) {
            if (args[0] === 'swallowed') return
            method.apply(this, args)
            if (args[0] === 'twice') method.apply(this, args)
          }
        },
        mixin: () => { if (fails) throw new Error('of the mixin'); return {} }
      })
      let fails = false
      instrumentLogger(log, { registry })
      log.info('swallowed')
      log.info('twice')
      fails = true
      t.throws(() => { log.info('x') }, { message: 'of the mixin' })
      t.equal(written.length, 2)
      t.same(await lines(registry), { info: 2 })
    })

    t.test('the application sees nothing of it', async (t) => {
      const [bare, observed] = [logger(pino), logger(pino)]
      const undo = instrumentLogger(observed.log, { registry: new Registry() })
      const keys = (log: object) => ({ names: Object.keys(log).sort(), json: JSON.stringify(log), tag: Object.prototype.toString.call(log) })
      t.same(keys(observed.log), keys(bare.log))
      for (const { log } of [bare, observed]) {
        log.info('plain')
        log.info({ err: new Error('an error').message }, 'with %s', 'format')
        log.child({ id: 1 }).error('child')
        log.info(undefined)
        log.info(null)
        t.equal(log.info('returns nothing') as unknown, undefined)
      }
      t.same(observed.written, bare.written)
      const before = Reflect.ownKeys(bare.log)
      undo()
      undo()
      t.same(Reflect.ownKeys(observed.log).map(String).sort(), before.map(String).sort(), 'and the undo leaves nothing')
    })

    t.test('what other code has put over the method that writes stays after the undo, and nothing is counted', async (t) => {
      const registry = new Registry()
      const { log, written } = logger(pino)
      const undo = instrumentLogger(log, { registry })
      const symbol = Object.getOwnPropertySymbols(log).find(({ description }) => description === 'pino.write') as symbol
      const ours = Reflect.get(log, symbol) as (...args: unknown[]) => unknown
      let seen = 0
      Reflect.set(log, symbol, function (this: unknown, ...args: unknown[]) {
        seen++
        return ours.apply(this, args)
      })
      log.info('one')
      undo()
      log.info('two')
      t.same([seen, written.length, await lines(registry)], [2, 2, { info: 1 }])
      const again = instrumentLogger(log, { registry })
      log.info('three')
      t.same([seen, written.length, await lines(registry)], [3, 3, { info: 2 }])
      again()
    })

    t.test('one line is counted once, whoever is counted and in which order', async (t) => {
      const registry = new Registry()
      const { log } = logger(pino)
      const keys = Reflect.ownKeys(log)
      const child = log.child({})
      const ofChild = instrumentLogger(child, { registry })
      const ofLog = instrumentLogger(log, { registry })
      const again = instrumentLogger(log, { registry })
      child.info('one')
      log.info('two')
      child.child({}).info('three')
      t.same(await lines(registry), { info: 3 })
      ofLog()
      log.info('four: one who asked is there')
      t.same(await lines(registry), { info: 4 })
      again()
      log.info('not counted')
      child.info('five: the child is counted still')
      t.same(await lines(registry), { info: 5 })
      ofChild()
      child.info('not counted')
      t.same(await lines(registry), { info: 5 })
      t.same(Reflect.ownKeys(log), keys, 'nothing of it is left')
      const ofParent = instrumentLogger(log, { registry })
      const late = instrumentLogger(log.child({}), { registry })
      log.info('six')
      ofParent()
      log.info('not counted: of the two the child alone is observed')
      late()
      t.same(await lines(registry), { info: 6 })
      const elsewhere = new Registry()
      instrumentLogger(child, { registry })
      instrumentLogger(child, { registry: elsewhere, prefix: 'dogs_' })
      child.info('in both')
      t.same(await lines(registry), { info: 7 })
      t.same(await lines(elsewhere, 'dogs_log_messages_total'), { info: 1 })
    })
  })
}

t.test('what is no logger of pino is refused, and wrong options are', async (t) => {
  for (const wrong of [undefined, null, {}, 'log', console, { level: 'info', child () {} }]) {
    t.throws(() => instrumentLogger(wrong as never), { code: 'FP_ERR_INVALID_TARGET', message: /instrumentLogger expects a logger of pino 9 or 10, got/ })
  }
  const { log } = logger(versions[0]?.[1] as MakePino)
  t.throws(() => instrumentLogger(log, { level: 'info' } as never), { code: 'FP_ERR_INVALID_OPTION' })
  t.throws(() => instrumentLogger(log, { registry: {} } as never), { code: 'FP_ERR_INVALID_OPTION' })
})

/** A service whose log is counted. */
async function service (t: Test, options: object, registry = new Registry()): Promise<{ app: FastifyInstance, registry: Registry }> {
  const app: FastifyInstance = Fastify(options)
  t.teardown(() => app.close())
  await app.register(metricsPlugin, { registry, runtime: false, metrics: { log_messages_total: true } })
  return { app, registry }
}

t.test('the plugin counts the lines of its application, those of requests too, until it closes', async (t) => {
  const written: string[] = []
  const { app, registry } = await service(t, { logger: { level: 'info', stream: { write: (line: string) => { written.push(line) } } } })
  app.get('/', async (request) => {
    request.log.warn('a request')
    request.log.debug('not written')
    return 'ok'
  })
  app.get('/quiet', { logLevel: 'silent' }, async (request) => {
    request.log.warn('not written')
    return 'ok'
  })
  app.get('/loud', { logLevel: 'trace' }, async (request) => {
    request.log.trace('written')
    return 'ok'
  })
  for (const path of ['/', '/', '/quiet', '/loud']) await app.inject(path)
  const counted = await lines(registry)
  t.equal(counted['warn'], 2)
  t.equal(counted['trace'], 1)
  t.equal(Object.values(counted).reduce((sum, count) => sum + count, 0), written.length)
  await app.close()
  app.log.error('closed')
  t.same(await lines(registry), counted)
})

t.test('a logger that the application has made itself, and two applications with one', async (t) => {
  const { log } = logger(versions[0]?.[1] as MakePino)
  const registry = new Registry()
  const undo = instrumentLogger(log, { registry })
  const loggerInstance = log as unknown as FastifyBaseLogger
  const { app } = await service(t, { loggerInstance, disableRequestLogging: true }, registry)
  const { app: second } = await service(t, { loggerInstance, disableRequestLogging: true }, registry)
  const before = await lines(registry)
  app.log.error('one')
  second.log.error('two')
  log.error('three')
  t.equal((await lines(registry))['error'], (before['error'] ?? 0) + 3)
  await app.close()
  second.log.error('four')
  t.equal((await lines(registry))['error'], 4)
  await second.close()
  log.error('five')
  t.equal((await lines(registry))['error'], 5, 'what the application has begun itself goes on')
  undo()
})

t.test('off unless asked for; without a logger there are no lines; a logger that is not of pino is told of', async (t) => {
  const off = Fastify({ logger: { level: 'silent' } })
  t.teardown(() => off.close())
  await off.register(metricsPlugin, { registry: new Registry() })
  t.notMatch(await off.metrics.render(), 'log_messages_total')
  t.same(await lines((await service(t, { logger: false })).registry), {})
  const warnings: unknown[] = []
  const mute = () => {}
  const loggerInstance = { level: 'info', info: mute, error: mute, debug: mute, fatal: mute, trace: mute, warn: (line: unknown) => { warnings.push(line) }, child () { return this } }
  await service(t, { loggerInstance })
  t.match(warnings, [/cannot count the lines of a logger that is not of pino/])
})
