import { pino } from 'pino'
import t from 'tap'
import { showBuild } from '../../src/runtime/build.js'
import { showEventLoop } from '../../src/runtime/event-loop.js'
import { instrumentLogger } from '../../src/runtime/logger.js'
import { readService } from '../../src/runtime/service.js'
import { Watched } from './watched.js'

t.test('which build runs is what app_build_info says', async (t) => {
  const watched = new Watched()
  showBuild({ registry: watched.registry }, { version: '7.0.0-canary', commit: '0123456789abcdef0123456789abcdef01234567' })
  const { name, version } = readService()
  t.same((await new Watched().next()).numbers.about.service, { name, version, commit: null }, "without it, it is package.json's")
  const { numbers: { about, marks } } = await watched.next()
  t.same(about.service, { name, version: '7.0.0-canary', commit: '0123456789abcdef0123456789abcdef01234567' })
  t.same(marks, [{ time: about.started, kind: 'start', text: 'started, 7.0.0-canary' }])
})

t.test('a version or a commit that is not known', async (t) => {
  const { name, version } = readService()
  for (const [build, said] of [[{ version: '', commit: 'abcdef1' }, { version, commit: 'abcdef1' }], [{ version: '7.0.0', commit: '' }, { version: '7.0.0', commit: null }]] as const) {
    const watched = new Watched()
    watched.set('app_build_info', build, 1)
    t.same((await watched.next()).numbers.about.service, { name, ...said })
  }
})

t.test('processes of several builds: which of them this one is, is known as soon as there is one', async (t) => {
  const watched = new Watched(true)
  const [before, after] = [{ version: '1.0.0', commit: 'aaaaaaa' }, { version: '2.0.0', commit: 'bbbbbbb' }]
  watched.set('app_build_info', before, 1)
  watched.set('app_build_info', after, 1)
  const { version } = readService()
  t.match((await watched.next()).numbers.about.service, { version, commit: null })
  watched.set('app_build_info', before, undefined)
  const { about, marks } = (await watched.next()).numbers
  t.match(about.service, after)
  t.match(marks[0], { text: 'started, 2.0.0' })
  watched.set('app_build_info', { version: '3.0.0', commit: 'ccccccc' }, 1)
  t.match((await watched.next()).numbers.about.service, after, 'another one that comes does not change it')
})

t.test('log lines, by level', async (t) => {
  const watched = new Watched()
  const logger = pino({ level: 'debug' }, { write () {} })
  instrumentLogger(logger, { registry: watched.registry })
  logger.info('walk')
  await watched.next()
  for (let i = 0; i < 4; i++) logger.info('walk')
  logger.error('no walk')
  const told = await watched.next()
  t.match(told.chart('process.log'), { title: 'Log lines', unit: 'per second', of: 'all', section: 'process' })
  t.match(told.ratios('process.log', 'error'), { info: 4, error: 1 })
})

t.test('utilisation: of this process, and where several answer as one, of all event loops', async (t) => {
  const [alone, together] = [new Watched(), new Watched(true)]
  for (const watched of [alone, together]) {
    showEventLoop({ registry: watched.registry })
    await watched.next()
  }
  const end = performance.now() + 600
  while (performance.now() < end) { /* works */ }
  t.same((await alone.next()).ids('process'), ['process.loop', 'process.utilisation', 'process.cpu', 'process.memory'], 'for one alone it would say the same once more')
  const { 'all processes': busy } = (await together.next()).last('process.utilisation.all')
  t.ok(Number(busy) > 0.5 && Number(busy) <= 1, `busy ${busy} of the time`)
})
