// Compiled, never run: what of fastify-prometheus/testing must compile, and after @ts-expect-error what must not.
import * as platformatic from '@platformatic/prom-client'
import * as renamed from '@prometheus-io/client'
import { register } from 'prom-client'
import { assertSeries, assertSeriesChanged, assertSeriesCompare, assertSeriesUnchanged, snapshot, type Snapshot } from '../../src/testing/index.js'

export async function assertionsAreTyped (): Promise<void> {
  const before: Snapshot = await snapshot(register)
  await assertSeries(register, 'a_total', {}, 1)
  await assertSeries(renamed.register, 'a_total', { method: 'GET', status_code: 200 }, 1)
  await assertSeriesChanged(platformatic.register, before, 'a_total', {}, 1)
  await assertSeriesUnchanged(register, before, 'a_seconds_bucket', { le: '+Inf' })
  await assertSeriesCompare(register, before, 'a_total', {}, (before, after) => after > before)
  const value: number | undefined = before.value('a_total')
  const samples: ReadonlyArray<{ labels: Readonly<Record<string, string>>, value: number }> | undefined = before.samples('a_total')
  console.log(value, samples, before.names.length)

  // @ts-expect-error what was expected is missing
  await assertSeries(register, 'a_total', {})
  // @ts-expect-error a snapshot has to be awaited
  await assertSeriesUnchanged(register, snapshot(register), 'a_total', {})
  // @ts-expect-error labels come before the value
  await assertSeries(register, 'a_total', 1, {})
  // @ts-expect-error a predicate says yes or no
  await assertSeriesCompare(register, before, 'a_total', {}, (before, after) => after - before)
  // @ts-expect-error a snapshot is not written to
  before.names = []
}
