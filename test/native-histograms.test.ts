import { register } from 'prom-client'
import t, { type Test } from 'tap'
import { Histogram } from '../src/index.js'
import { BUCKETS, dogSpeeds, NARROW, SPEEDS, TRACED } from './support/dog-speeds.js'
import { everyScrapeWentWell, FORMATS, startFormats, withoutAcceptForText } from './support/formats.js'
import { service } from './support/http.js'

const ALL_SPEEDS = [...SPEEDS, ...Object.values(TRACED)]

t.test('what a Prometheus makes of buckets', async (t) => {
  const { url } = await service(t, { options: { registry: register }, before: withoutAcceptForText })
  const { lowered, observe } = dogSpeeds(Histogram)
  const running = await startFormats(t, url)
  if (running === undefined) return
  const { protobuf: prometheus } = running
  const scraped = () => Promise.all(FORMATS.map((format) => running[format].scraped()))
  observe()
  await scraped()

  await t.test('a quantile of classic buckets is between the bounds of the right one', async (t) => {
    const values = sorted(ALL_SPEEDS)
    for (const quantile of [0.1, 0.5, 0.9, 0.99]) {
      const bound = BUCKETS.findIndex((bound) => bound >= quantileOf(values, quantile))
      const [lower = 0, upper] = [BUCKETS[bound - 1], BUCKETS[bound] as number]
      const below = upTo(values, lower)
      const within = upTo(values, upper) - below
      const interpolated = lower + (upper - lower) * (quantile * values.length - below) / within
      for (const format of ['openmetrics', 'text'] as const) {
        closeTo(t, await running[format].value(`histogram_quantile(${quantile}, dog_speed_bucket)`), interpolated, 1e-9, `${quantile} in ${format}`)
      }
    }
  })

  await t.test('native histograms', async (t) => {
    /**
     * Each bucket has the bounds of its schema, and counts what fell between them. The nearest to zero begins where the
     * zero bucket ends.
     */
    const isExact = async (t: Test, name: string, values: readonly number[], schema: number, zeroThreshold = 2 ** -128) => {
      const base = 2 ** (2 ** -schema)
      const { count, sum, buckets } = await prometheus.native(name)
      t.equal(count, values.length, `${name}: count`)
      closeTo(t, sum, values.reduce((sum, value) => sum + value, 0), 1e-9, `${name}: sum`)
      const [positive, negative] = [sorted(values), sorted(values.map((value) => -value))]
      const wrong = buckets.filter(({ lower, upper, count }) => {
        if (lower === -zeroThreshold && upper === zeroThreshold) return count !== values.filter((value) => Math.abs(value) <= zeroThreshold).length
        const [near, far, side] = lower > 0 ? [lower, upper, positive] : [-upper, -lower, negative]
        return count !== upTo(side, far) - upTo(side, near) || !(near === zeroThreshold || Math.abs(far / near / base - 1) < 1e-12)
      })
      t.same(wrong.slice(0, 3), [], `${name}: buckets of schema ${schema}`)
      t.equal(buckets.reduce((sum, { count }) => sum + count, 0), values.length, `${name}: nothing is missing`)
    }
    /**
     * What Prometheus says and the value itself are in the same bucket, (lower, lower * base] with base =
     * 2^(2^-schema), whatever Prometheus does between the bounds: so neither is more than base times the other. (Where
     * it answers with the middle of the bucket, lower * sqrt(base), it is sqrt(base) times.)
     */
    const isWithinItsError = async (t: Test, histogram: string, values: readonly number[], schema: number) => {
      const grown = sorted(values)
      const base = 2 ** (2 ** -schema)
      for (const quantile of [0.01, 0.5, 0.9, 0.99, 0.999]) {
        const [answer, truth] = [await prometheus.value(`histogram_quantile(${quantile}, ${histogram})`), quantileOf(grown, quantile)]
        const ratio = Math.max(answer / truth, truth / answer)
        t.ok(ratio <= base * (1 + 1e-12), `quantile ${quantile} of ${histogram} is ${answer}, in truth ${truth}: ${ratio} of at most ${base}`)
      }
    }

    await t.test('count what fell into their buckets, whatever the resolution, and for every sign', async (t) => {
      await isExact(t, 'dog_speed', ALL_SPEEDS, 3)
      await isExact(t, 'dog_speed_fine', SPEEDS, 7)
      await isExact(t, 'dog_speed_coarse', SPEEDS.map((value) => value ** 30), -4)
      await isExact(t, 'dog_balance', [...SPEEDS.map(Math.log), 0], 3, 0.01)
      t.same(await prometheus.native('dog_nothing'), { count: 0, sum: 0, buckets: [] })
    })

    await t.test('give quantiles within the error that their schema promises', async (t) => {
      await isWithinItsError(t, 'dog_speed', ALL_SPEEDS, 3)
      await isWithinItsError(t, 'dog_speed_fine', SPEEDS, 7)
      await isWithinItsError(t, 'dog_speed_coarse', SPEEDS.map((value) => value ** 30), -4)
    })

    await t.test('are right, and so is their increase, when the resolution is lowered between two scrapes', async (t) => {
      await isExact(t, 'dog_speed_lowered', NARROW, 3)
      const wide = SPEEDS.slice(0, 5000).map((value) => value ** 3)
      for (const value of wide) lowered.observe(value)
      await scraped()
      const schema = [3, 2, 1, 0, -1].find((schema) => new Set([...NARROW, ...wide].map((value) => Math.ceil(Math.log2(value) * 2 ** schema))).size <= 20) as number
      t.ok(schema < 3)
      await isExact(t, 'dog_speed_lowered', [...NARROW, ...wide], schema)
      await isWithinItsError(t, 'dog_speed_lowered', [...NARROW, ...wide], schema)
      // All scrapes in the window but the last ones have the narrow values alone, so it increased by the wide ones.
      await isWithinItsError(t, 'rate(dog_speed_lowered[1m])', wide, schema)
    })
  })

  await t.test('nothing was wrong with any scrape', (t) => everyScrapeWentWell(t, running))
})

function sorted (values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b)
}

/** The value that a part of all is not above. @param values growing */
function quantileOf (values: readonly number[], quantile: number): number {
  return values[Math.ceil(quantile * values.length) - 1] as number
}

/** How many are not above a bound. @param values growing */
function upTo (values: readonly number[], bound: number): number {
  const above = values.findIndex((value) => value > bound)
  return above === -1 ? values.length : above
}

function closeTo (t: Test, value: number, wanted: number, error: number, message: string): void {
  t.ok(Math.abs(value - wanted) <= error * Math.abs(wanted), `${message}: ${value} is ${wanted}`)
}
