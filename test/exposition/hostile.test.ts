import fc from 'fast-check'
import { Gauge as ForeignGauge, Registry } from 'prom-client'
import { buffer } from 'node:stream/consumers'
import { spawnSync } from 'node:child_process'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { Exposition, type Format } from '../../src/exposition/index.js'
import { Counter, Histogram } from '../../src/index.js'
import { decoded } from '../support/decoded.js'
import { attempt, hostile, registriesOf, type Hostile } from '../support/hostile.js'
import { readOpenMetrics2, type ReadFamily } from '../support/openmetrics-2.js'
import { missing, Parsers, type ParsedSample } from '../support/parsers.js'
import { promtool } from '../support/promtool.js'

/*
 * Whatever is in a registry, the page is one that every parser reads: Prometheus' own of the text format (promtool),
 * the strict one of OpenMetrics (prometheus_client) and protobufjs; and the metrics that nothing is wrong with are on
 * it.
 */
const parsers = await Parsers.start(t)

const RUNS = 250
const FORMATS: Format[] = ['text', 'openmetrics', 'protobuf', 'openmetrics2']

/** The pages of registries, with good metrics among the others, and what was said of failures. */
async function pagesOf (given: Hostile, prefix: string) {
  const registries = registriesOf(given, prefix)
  const registers = [registries[0] as Registry]
  attempt(() => registers[0]?.setDefaultLabels({}))
  const defaults = given.defaults[0] as object
  new Counter({ name: `${prefix}good_total`, help: 'Of the test.', labelNames: ['a'], registers }).inc({ a: 'b' }, 3)
  new Histogram({ name: `${prefix}good_seconds`, help: 'Of the test.', buckets: [1], registers }).observe(0.5)
  new ForeignGauge({ name: `${prefix}good`, help: 'Of the test.', registers }).set(5)
  registers[0]?.setDefaultLabels(defaults)
  const failed: string[] = []
  const exposition = new Exposition(registries, { maxScrapes: 10, created: true }, { failed: (name) => failed.push(name), counted: () => {}, ended: () => {}, refused: () => {} })
  const pages = {} as Record<Format, Buffer>
  for (const format of FORMATS) {
    const whole = await exposition.scrape({ format, compression: undefined, names: undefined, timeout: undefined }).whole()
    pages[format] = Buffer.isBuffer(whole) ? whole : await buffer(whole as NodeJS.ReadableStream)
  }
  return { pages, failed }
}

/** A series as Prometheus knows it. */
function keyOf ({ name, labels }: Pick<ParsedSample, 'name' | 'labels'>): string {
  return JSON.stringify([name, ...Object.entries(labels).filter(([, value]) => value !== '').sort(([a], [b]) => a < b ? -1 : 1)])
}

/** @throws Error where a series is there twice, or a good one is not */
function check (samples: readonly ParsedSample[], prefix: string): void {
  const seen = new Set<string>()
  for (const sample of samples) {
    const key = keyOf(sample)
    if (seen.has(key)) throw new Error(`twice: ${key}`)
    seen.add(key)
  }
  for (const [name, value] of [['good_total', 3], ['good_seconds_count', 1], ['good_seconds_sum', 0.5], ['good', 5]] as const) {
    if (!samples.some((sample) => sample.name === prefix + name && sample.value === value)) throw new Error(`${name} is not there`)
  }
}

/** The same for OpenMetrics 2.0, whose reader refuses a series that is there twice. */
function check2 (families: readonly ReadFamily[], prefix: string): void {
  const value = (name: string) => families.find((family) => family.name === prefix + name)?.samples[0]?.value
  const wanted = { good_total: 3, good: 5, good_seconds: { kind: 'histogram', count: 1, sum: 0.5, buckets: [[1, 1], [Infinity, 1]], native: undefined } }
  for (const [name, expected] of Object.entries(wanted)) {
    if (!isDeepStrictEqual(value(name), expected)) throw new Error(`${name} is not there in OpenMetrics 2.0`)
  }
}

t.test('whatever registries hold, the page parses in every format, and what is good is on it', { skip: parsers === undefined && missing, timeout: 60_000 }, async (t) => {
  const texts: Buffer[] = []
  let failures = 0
  await fc.assert(fc.asyncProperty(hostile, async (given) => {
    const prefix = `r${texts.length}_`
    const { pages, failed } = await pagesOf(given, prefix)
    failures += failed.length
    const text = await parsers?.read('text', pages.text) ?? []
    const openMetrics = await parsers?.read('openmetrics', pages.openmetrics) ?? []
    const samples = text.flatMap(({ samples }) => samples)
    check(samples, prefix)
    check(openMetrics.flatMap(({ samples }) => samples), prefix)
    const names = decoded(pages.protobuf).flatMap(({ name, metric }) => metric.map(({ label = [] }) => keyOf({ name, labels: Object.fromEntries(label.map(({ name, value }) => [name, value])) })))
    if (new Set(names).size !== names.length) throw new Error('twice in protobuf')
    // OpenMetrics has the series of text, but for the sums of histograms with negative values, and when each began.
    const inText = new Set(samples.map(keyOf))
    const created = /_created$/
    for (const sample of openMetrics.flatMap(({ samples }) => samples)) {
      if (!created.test(sample.name) && !inText.has(keyOf(sample))) throw new Error(`not in text: ${keyOf(sample)}`)
    }
    check2(readOpenMetrics2(pages.openmetrics2), prefix)
    texts.push(pages.text)
  }), { numRuns: RUNS })
  t.ok(failures > RUNS, `${failures} metrics were told of`)

  // promtool takes longer to start than to read, so it reads all in one: the names of each have a prefix of their own.
  const answer = promtool(t, ['check', 'metrics'], Buffer.concat(texts))
  if (answer === undefined) return
  if (!/parsing error/.test(answer.output)) return t.pass()
  const wrong = texts.find((text) => /parsing error/.test(String(spawnSync('promtool', ['check', 'metrics'], { input: text }).stderr)))
  t.fail(`${answer.output.match(/.*parsing error.*/)?.[0]}\n${wrong?.toString().slice(0, 5000)}`)
})
