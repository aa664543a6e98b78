import { ModernFakeTimers } from '@jest/fake-timers'
import { install } from '@sinonjs/fake-timers'
import fc from 'fast-check'
import t from 'tap'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Counter, Gauge, Histogram, type Exemplar } from '../../src/metrics/index.js'

interface FakeClock {
  /** @param ms milliseconds */
  advance (ms: number): void
  setSystemTime (ms: number): void
  uninstall (): void
}

/** The fake clocks, as each library installs its own when it is told nothing else. */
const clocks: Record<string, () => FakeClock> = {
  sinon () {
    const clock = install()
    return { advance: (ms) => clock.tick(ms), setSystemTime: (ms) => clock.setSystemTime(ms), uninstall: () => clock.uninstall() }
  },
  jest () {
    // Of a project's configuration it reads no more.
    const config = { fakeTimers: { enableGlobally: false }, rootDir: '/', testMatch: [] } as unknown as ConstructorParameters<typeof ModernFakeTimers>[0]['config']
    const clock = new ModernFakeTimers({ global: globalThis, config })
    clock.useFakeTimers()
    return { advance: (ms) => clock.advanceTimersByTime(ms), setSystemTime: (ms) => clock.setSystemTime(ms), uninstall: () => clock.useRealTimers() }
  }
}

/** Every way there is to start a timer. */
function starts (): Record<string, () => () => number> {
  const config = { name: 'subject', help: 'Of the test.', labelNames: ['a'] as const, registers: [] }
  const gauge = new Gauge(config)
  const histogram = new Histogram(config)
  const exemplars = new Histogram({ ...config, enableExemplars: true })
  const { startTimer } = histogram.labels('x')
  return {
    'a gauge': () => gauge.startTimer({ a: 'x' }),
    'a gauge\'s child': () => gauge.labels('x').startTimer(),
    'a histogram': () => histogram.startTimer(),
    'a histogram with exemplars': () => exemplars.startTimer({ a: 'x' }, { trace_id: 'y' }),
    'a histogram\'s child': () => histogram.labels('x').startTimer(),
    'a child with labels at the end': () => {
      const end = gauge.labels('x').startTimer()
      return () => end({ a: 'y' })
    },
    'a function taken out': startTimer
  }
}

for (const [name, install] of Object.entries(clocks)) {
  t.test(`the fake clock of ${name} reaches every timer`, async (t) => {
    const seconds = new Map<string, number>()
    const clock = install()
    try {
      const ends = Object.entries(starts()).map(([what, start]) => [what, start()] as const)
      clock.advance(1500)
      clock.setSystemTime(0)
      for (const [what, end] of ends) seconds.set(what, end())
    } finally {
      clock.uninstall()
    }
    for (const [what, value] of seconds) t.equal(value, 1.5, what)
  })

  t.test(`the fake clock of ${name} says what time it is`, async (t) => {
    const config = { name: 'subject', help: 'Of the test.', registers: [] }
    const clock = install()
    let gauge, counter, histogram
    try {
      clock.setSystemTime(1_700_000_000_000)
      gauge = new Gauge({ ...config, labelNames: ['a'] })
      counter = new Counter({ ...config, enableExemplars: true })
      histogram = new Histogram(config)
      clock.advance(2500)
      counter.inc({ exemplarLabels: { trace_id: 'x' } })
      gauge.setToCurrentTime()
      gauge.labels('x').setToCurrentTime()
    } finally {
      clock.uninstall()
    }
    t.same((await gauge.get()).values.map(({ value }) => value), [1_700_000_002.5, 1_700_000_002.5])
    t.equal(((await counter.get()).values[0]?.exemplar as Exemplar).timestamp, 1_700_000_002.5)
    for (const family of [counter, histogram]) t.equal([...family.snapshot().series()][0]?.created, 1_700_000_000)
  })

  t.test(`a timer ends on the clock that it was started on, whenever a clock of ${name} is installed, taken away or set`, async (t) => {
    const step = fc.oneof(
      { weight: 2, arbitrary: fc.constant({ do: 'install' } as const) },
      { weight: 2, arbitrary: fc.constant({ do: 'uninstall' } as const) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat(100_000) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('set' as const), ms: fc.nat(2_000_000_000_000) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('start' as const), which: fc.nat(6) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('end' as const), timer: fc.nat(3) }) }
    )
    fc.assert(fc.property(fc.array(step, { maxLength: 30, size: 'max' }), (steps) => {
      const ways = Object.values(starts())
      const timers: Array<{ end: () => number, on: number | undefined, began: number }> = []
      /** Milliseconds that each fake clock advanced, by when it was installed. */
      const faked: number[] = []
      let clock: FakeClock | undefined
      try {
        for (const step of steps) {
          if (step.do === 'install' && clock === undefined) {
            clock = install()
            faked.push(0)
          }
          if (step.do === 'uninstall') {
            clock?.uninstall()
            clock = undefined
          }
          if (step.do === 'set') clock?.setSystemTime(step.ms)
          if (step.do === 'advance' && clock !== undefined) {
            clock.advance(step.ms)
            faked[faked.length - 1] = (faked.at(-1) as number) + step.ms
          }
          const on = clock === undefined ? undefined : faked.length - 1
          const now = (on: number | undefined) => on === undefined ? process.uptime() : (faked[on] as number) / 1000
          if (step.do === 'start') timers.push({ on, began: now(on), end: ways[step.which]?.() as () => number })
          const timer = step.do === 'end' ? timers[step.timer] : undefined
          if (timer === undefined) continue
          const seconds = timer.end()
          const most = now(timer.on) - timer.began + 1e-6
          const least = timer.on === undefined ? 0 : most - 2e-6
          if (!(seconds >= least && seconds <= most)) throw new Error(`${seconds} s, where ${least} to ${most} s passed`)
        }
      } finally {
        clock?.uninstall()
      }
    }), { numRuns: 500 })
    t.pass('in 500 random runs')
  })
}

t.test('a clock that was set back gives 0', async (t) => {
  const clock = install()
  let seconds
  try {
    clock.tick(5000)
    const end = new Histogram({ name: 'subject', help: 'Of the test.', registers: [] }).startTimer()
    clock.reset()
    seconds = end()
  } finally {
    clock.uninstall()
  }
  t.equal(seconds, 0)
})

t.test('the fake clock of vitest reaches them too', async (t) => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const env: NodeJS.ProcessEnv = { ...process.env, CI: 'true', NODE_OPTIONS: '' }
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', 'test/metrics/clock.spec.ts', '--reporter=json', '--pool=forks']
  const { stdout } = await promisify(execFile)(process.execPath, vitest, { cwd: root, env }).catch((error: { stdout: string }) => error)
  const { numPassedTests, testResults } = JSON.parse(stdout) as { numPassedTests: number, testResults: Array<{ message: string, assertionResults: Array<{ failureMessages: string[] }> }> }
  t.same(testResults.flatMap(({ message, assertionResults }) => [message, ...assertionResults.flatMap(({ failureMessages }) => failureMessages)]), [''])
  t.equal(numPassedTests, 2)
})
