// What a user's test file looks like under `node --test`; assertions.test.ts runs it as a child process.
import { Registry } from 'prom-client'
import { test } from 'node:test'
import { Counter } from '../../src/metrics/index.js'
import { assertSeries, assertSeriesChanged, snapshot } from '../../src/testing/index.js'

const registry = new Registry()
const walks = new Counter({ name: 'walks_started_total', help: 'Of the test.', labelNames: ['walker'], registers: [registry] })

test('what holds passes', async () => {
  const before = await snapshot(registry)
  walks.inc({ walker: 'ada' })
  await assertSeries(registry, 'walks_started_total', { walker: 'ada' }, 1)
  await assertSeriesChanged(registry, before, 'walks_started_total', { walker: 'ada' }, 1)
})

test('what does not hold fails', async () => {
  await assertSeries(registry, 'walks_started_total', { walker: 'ada' }, 3)
})
