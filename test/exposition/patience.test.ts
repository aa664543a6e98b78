import FakeTimers from '@sinonjs/fake-timers'
import { Registry } from 'prom-client'
import t from 'tap'
import { Exposition } from '../../src/exposition/index.js'
import { Counter, Gauge } from '../../src/index.js'

t.test('a scraper that says it waits for a day has two minutes, of which metrics have four fifths: one that hangs costs itself alone', async (t) => {
  const registry = new Registry()
  // eslint-disable-next-line no-new -- a metric registers itself
  new Gauge({ name: 'hanging', help: 'It hangs.', registers: [registry], collect: () => new Promise(() => {}) })
  const quick = new Counter({ name: 'quick', help: 'It is quick.', registers: [registry] })
  quick.inc()
  const failed: string[] = []
  const outcomes: string[] = []
  const exposition = new Exposition(registry, { maxScrapes: 1, created: false }, {
    counted () {},
    failed: (name) => failed.push(name),
    refused () {},
    ended: (_format, outcome) => outcomes.push(outcome)
  })
  const clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout'] })
  t.teardown(() => clock.uninstall())
  const scrape = exposition.scrape({ format: 'text', compression: undefined, names: undefined, timeout: 86_400_000 })
  const page = scrape.whole()
  await new Promise(setImmediate)
  clock.tick(95_999)
  await new Promise(setImmediate)
  t.same(failed, [], 'it has four fifths of two minutes')
  clock.tick(1)
  t.match(String(await page), /^quick 1$/m)
  t.same(failed, ['hanging'])
  t.same(outcomes, ['served'])
})
