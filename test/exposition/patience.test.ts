import FakeTimers from '@sinonjs/fake-timers'
import { Counter as ForeignCounter, Registry } from 'prom-client'
import t from 'tap'
import { Counter, Gauge } from '../../src/index.js'
import { exposed, TEXT } from '../support/exposed.js'
import { gate } from '../support/gate.js'
import { service } from '../support/http.js'

t.test('a scraper that says it waits for a day has two minutes, of which metrics have four fifths: one that hangs costs itself alone', async (t) => {
  const registry = new Registry()
  // eslint-disable-next-line no-new -- a metric registers itself
  new Gauge({ name: 'hanging', help: 'It hangs.', registers: [registry], collect: () => new Promise(() => {}) })
  const quick = new Counter({ name: 'quick', help: 'It is quick.', registers: [registry] })
  quick.inc()
  const { exposition, ended, failed } = exposed(registry)
  const clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout'] })
  t.teardown(() => clock.uninstall())
  const scrape = exposition.scrape({ ...TEXT, timeout: 86_400_000 })
  const page = scrape.whole()
  await new Promise(setImmediate)
  clock.tick(95_999)
  await new Promise(setImmediate)
  t.same(failed, [], 'it has four fifths of two minutes')
  clock.tick(1)
  t.match(String(await page), /^quick 1$/m)
  t.same(failed, ['hanging'])
  t.same(ended.map(({ outcome }) => outcome), ['served'])
})

t.test('a metric that hangs costs itself, in the time of the scraper, and is not waited for twice', async (t) => {
  const registry = new Registry()
  const { opened, open } = gate()
  let asked = 0
  const hangs = new ForeignCounter({ name: 'hangs_total', help: 'h', registers: [registry], async collect () { asked++; await opened } })
  const ours = new Counter({ name: 'ours_hangs_total', help: 'h', registers: [registry], async collect () { await opened } })
  const throws = new Counter({ name: 'throws_total', help: 'h', registers: [registry], collect () { throw new Error('no') } })
  t.ok([hangs, ours, throws])
  new Counter({ name: 'fine_total', help: 'h', registers: [registry] }).inc()
  const { exposition, failed } = exposed(registry)
  // Of a real clock the machine may let pass more than the fifth that is left to send the page.
  const clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout'] })
  t.teardown(() => clock.uninstall())
  let passed = 0
  const { now } = performance
  t.intercept(performance, 'now', { value: () => now.call(performance) + passed })
  const fine = '# HELP fine_total h\n# TYPE fine_total counter\nfine_total 1\n'
  const page = exposition.scrape({ ...TEXT, timeout: 100 }).whole()
  await new Promise(setImmediate)
  clock.tick(80)
  t.equal(String(await page), fine)
  t.same(failed.sort(), ['hangs_total', 'ours_hangs_total', 'throws_total'])
  passed = 2000
  t.equal(String(await exposition.scrape(TEXT).whole()), fine, 'at once: it is known to hang')
  t.equal(asked, 1)
  open()
  // What awaited it has gone on a turn later.
  await new Promise((resolve) => { setImmediate(resolve) })
  t.match(String(await exposition.scrape(TEXT).whole()), /^hangs_total 0\n(.*\n)+ours_hangs_total 0\n/m, 'they are asked again')
  t.equal(asked, 2)
})

t.test('a scraper in a hurry takes nothing from the others', async (t) => {
  const registry = new Registry()
  const { opened, open } = gate()
  let asked = 0
  const slow = new ForeignCounter({ name: 'slow_total', help: 'h', registers: [registry], async collect () { asked++; await opened } })
  t.ok(slow)
  const { exposition } = exposed(registry)
  const clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout'] })
  t.teardown(() => clock.uninstall())
  const others = exposition.scrape(TEXT).whole()
  for (let i = 0; i < 3; i++) {
    const page = exposition.scrape({ ...TEXT, timeout: 10 }).whole()
    await new Promise(setImmediate)
    clock.tick(8)
    t.equal(String(await page), '')
  }
  const later = exposition.scrape({ ...TEXT, timeout: 5000 }).whole()
  open()
  t.match(String(await others), 'slow_total 0\n')
  t.match(String(await later), 'slow_total 0\n', 'it waits for what the hurried one has asked for')
  t.equal(asked, 2, 'and nobody asks anew meanwhile')
})

t.test('a page that was asked for under a fake clock is answered, and so is every later one', async (t) => {
  const { app } = await service(t, {})
  const clock = FakeTimers.install({ toFake: ['setImmediate', 'setTimeout', 'performance'] })
  t.teardown(() => clock.uninstall())
  t.equal((await app.inject('/metrics')).statusCode, 200)
  clock.uninstall()
  t.equal((await app.inject('/metrics')).statusCode, 200)
})
