import { Registry } from 'prom-client'
import t from 'tap'
import { Histogram, metricsServer } from '../../src/index.js'
import { Flow, Growth, NOTHING } from '../../src/live/flow.js'
import { classicQuantile, nativeQuantile } from '../../src/live/quantile.js'
import type { BucketsSnapshot } from '../../src/metrics/index.js'
import { startPrometheus } from '../support/prometheus.js'

const QUANTILES = [0, 0.01, 0.25, 0.5, 0.75, 0.95, 0.99, 1]

/**
 * What is observed, by name: of many shapes, below and above all bounds, negative, at the bounds. No quantile is between
 * two values that are far apart: there versions of Prometheus differ.
 */
const observed: Readonly<Record<string, { readonly bounds: number[], readonly values: readonly number[] }>> = {
  usual_seconds: { bounds: [0.005, 0.05, 0.5, 5], values: Array.from({ length: 500 }, (_, i) => 0.001 * 1.015 ** i) },
  one: { bounds: [1, 2, 3], values: [1.5] },
  bounds: { bounds: [1, 2, 3], values: [1, 2, 3, 3, 3] },
  beyond: { bounds: [1, 2], values: [5, 6, 7] },
  below: { bounds: [-2, -1, 0, 1], values: [-5, -4, -1.5, -1.4, -0.5, 0, 0.5] },
  first: { bounds: [10, 20], values: [1, 2, 3] },
  zeros: { bounds: [0, 1], values: [0, 0, 0, 0, 0.5] },
  gap: { bounds: [1, 10, 100, 1000], values: [0.5, 0.6, 500, 600, 610] },
  small: { bounds: [1], values: Array.from({ length: 200 }, (_, i) => 1e-9 * (i + 1)) }
}

t.test('quantiles are those of histogram_quantile()', async (t) => {
  const registry = new Registry()
  const histograms = Object.entries(observed).map(([name, { bounds, values }]) => {
    const histogram = new Histogram({ name, help: name, buckets: bounds, native: { growthFactor: 1.1 }, registers: [registry] })
    for (const value of values) histogram.observe(value)
    return { name, bounds, histogram, buckets: [...histogram.peek().series()][0]?.buckets as BucketsSnapshot }
  })
  const server = await metricsServer({ port: 0, registry })
  t.teardown(() => server.close())
  const job = { static_configs: [{ targets: [`127.0.0.1:${server.port}`] }] }
  const global = { scrape_interval: '1s', scrape_timeout: '1s' }
  const classic = await startPrometheus(t, { global, scrape_configs: [{ ...job, job_name: 'classic' }] })
  const native = await startPrometheus(t, { global, scrape_configs: [{ ...job, job_name: 'native' }] }, 'native-histograms')
  if (classic === undefined || native === undefined) return
  await Promise.all([classic.scraped(), native.scraped()])
  for (const { name, bounds, buckets } of histograms) {
    for (const quantile of QUANTILES) {
      const counts = Array.from({ length: bounds.length + 1 }, (_, i) => buckets.counts[buckets.at + i] as number)
      const ours = classicQuantile(quantile, bounds, counts) as number
      const theirs = await classic.value(`histogram_quantile(${quantile}, ${name}_bucket)`)
      // Prometheus divides nothing by nothing where the first bucket is empty.
      if (!Number.isNaN(theirs)) t.ok(Math.abs(ours - theirs) <= 1e-9 * Math.abs(theirs), `${name} ${quantile}: ${ours}, Prometheus ${theirs}`)
      const found = nativeQuantile(quantile, buckets.native as NonNullable<BucketsSnapshot['native']>) as number
      const asked = await native.value(`histogram_quantile(${quantile}, ${name})`)
      // Before 3.0 Prometheus draws a straight line between two bounds, which are 9 % apart.
      t.ok(Math.abs(found - asked) <= 0.09 * Math.abs(asked) + 1e-12, `${name} ${quantile}: native ${found}, Prometheus ${asked}`)
    }
  }
})

t.test('between two bounds of native buckets it grows exponentially, as since Prometheus 3', async (t) => {
  const none = { offset: 0, counts: new Float64Array(0) }
  const buckets = { schema: 0, zeroThreshold: 0, zeroCount: 0, negative: none, positive: { offset: 2, counts: new Float64Array([4]) } }
  t.equal(nativeQuantile(0.5, buckets), 2 ** 1.5, 'half way from 2 to 4')
  t.equal(nativeQuantile(0.5, { ...buckets, positive: none, negative: { offset: 2, counts: new Float64Array([4]) } }), -(2 ** 1.5))
  t.equal(nativeQuantile(0.25, { ...buckets, positive: none, zeroThreshold: 0.5, zeroCount: 4 }), -0.25, 'a zero bucket alone is linear')
  t.equal(nativeQuantile(0.25, { ...buckets, zeroThreshold: 0.5, zeroCount: 4 }), 0.25, 'without negative values it begins at 0')
})

t.test('nothing counted has no quantile', async (t) => {
  const flow = new Flow()
  t.equal(new Growth(flow, flow.counted, NOTHING).quantile(0.5), undefined)
  t.equal(classicQuantile(0.5, [1, 2], [0, 0, 0]), undefined)
  t.equal(classicQuantile(0.5, [], [7]), undefined, 'of +Inf alone nothing can be said')
})
