import pg from 'pg'
import { Gauge, Summary } from 'prom-client'
import t from 'tap'
import { choicesOf, Visitor } from '../examples/dog-walking/visitor.js'
import { buildDemo } from './support/demo.js'
import { dogSpeeds } from './support/dog-speeds.js'
import { everyScrapeWentWell, FORMATS, startFormats, withoutAcceptForText, type FormatRequest, type Scraped } from './support/formats.js'
import { Page } from './support/page.js'
import { startPostgres } from './support/postgres.js'
import type { Series } from './support/prometheus.js'

/** What each Prometheus is answered with. */
const CONTENT_TYPES = {
  protobuf: 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores',
  text: 'text/plain; version=0.0.4; charset=utf-8'
}

const [postgres] = await Promise.all([startPostgres(), buildDemo()])
t.teardown(() => postgres.close())

// The example has the package by its name, and both are what was built just now.
const { Counter, Histogram } = await import('fastify-prometheus')
const { instrumentPool } = await import('fastify-prometheus/pg')
const built = async <M>(file: string): Promise<M> => await import(new URL(`../examples/dog-walking/dist/${file}`, import.meta.url).href) as M
const { buildApp } = await built<typeof import('../examples/dog-walking/app.js')>('app.js')
const { connectDataSource, connectStatusPool, migrate } = await built<typeof import('../examples/dog-walking/database.js')>('database.js')
const { seed } = await built<typeof import('../examples/dog-walking/seed.js')>('seed.js')

const database = `postgres://postgres:postgres@127.0.0.1:${postgres.port}/postgres`
const dataSource = await connectDataSource(database)
t.teardown(() => dataSource.destroy())
await migrate(dataSource)
await seed(dataSource)
const statusPool = connectStatusPool(database)
t.teardown(() => statusPool.end())
/** Observed under names of its own, by native histograms that have no classic buckets. */
const barePool = new pg.Pool(postgres.config)
// At the end its connection may hear that the server stops before it hears that it is no longer needed.
barePool.on('error', () => {})
t.teardown(() => barePool.end())
instrumentPool(barePool, { prefix: 'bare_', nativeHistograms: { growthFactor: 2, classicBuckets: false } })
const app = await buildApp({ dataSource, statusPool })
t.teardown(() => app.close())

/** The content types that each Prometheus was answered with. */
const answered = new Map<unknown, Set<unknown>>()
/** The ids of the requests for each route. */
const requests = new Map<string | undefined, string[]>()
withoutAcceptForText(app)
app.addHook('onSend', async ({ query: { format }, routeOptions: { url }, id }: FormatRequest, reply) => {
  if (format === undefined) requests.set(url, [...requests.get(url) ?? [], id])
  else answered.set(format, (answered.get(format) ?? new Set()).add(reply.getHeader('content-type')))
})
const url = await app.listen({ port: 0, host: '127.0.0.1' })

const speeds = dogSpeeds(Histogram)
const classic = new Histogram({ name: 'dog_weight_grams', help: 'Classic buckets alone.', labelNames: ['name'], buckets: [0.00001, 0.5, 100, 1e6, 67108864] })
const barks = new Counter({ name: 'dog_barks_total', help: 'Barks.', labelNames: ['name'], enableExemplars: true })
const mood = new Gauge({ name: 'dog_mood', help: 'A gauge of prom-client\'s.', labelNames: ['name'] })
const naps = new Summary({ name: 'dog_nap_seconds', help: 'A summary of prom-client\'s.', labelNames: ['name'], percentiles: [0.5, 0.99, 1] })
const WEIGHTS = [0.00001, 0.3, 99, 100, 101, 6e7, 1e9]
const AWKWARD = 'back\\slash "quote"\nnew line, é, 犬, 🐕'

t.test('what it knows in every format', async (t) => {
  const running = await startFormats(t, url)
  if (running === undefined) return
  const scraped = () => Promise.all(FORMATS.map((format) => running[format].scraped()))
  const before = new Page(await app.metrics.render())

  const visitor = new Visitor(url)
  const { text } = await visitor.open('/walks/start')
  const [walker] = choicesOf(text, 'walker')
  const [first, second] = choicesOf(text, 'dog')
  for (const dog of [first, second]) await visitor.send('/walks/start', { walker: walker?.value ?? '', dog: dog?.value ?? '' })
  await visitor.send('/walks/start', {})
  await visitor.send('/walks/complete', { walk: '1', distance: '750' })
  await visitor.send('/walks/complete', { walk: '2', distance: '1600' })
  for (const path of ['/', '/', '/', '/status', '/status', '/no-such-page']) await visitor.open(path)

  for (let i = 0; i < 5; i++) await barePool.query('SELECT 1')

  speeds.observe()
  for (const [i, grams] of WEIGHTS.entries()) classic.labels('Pixel').observe(grams, { trace_id: `weight-${i}` })
  barks.inc({ labels: { name: AWKWARD }, value: 3, exemplarLabels: { trace_id: 'squirrel' } })
  for (const [name, value] of [['NaN', NaN], ['+Inf', Infinity], ['-Inf', -Infinity], ['tiny', 5e-324], ['huge', 1.7976931348623157e308]] as const) mood.set({ name }, value)
  for (const seconds of [60, 600, 6000]) naps.observe({ name: 'Pixel' }, seconds)
  await scraped()

  /** By these labels, put together with a space. */
  const by = (series: Series[], ...names: string[]) => Object.fromEntries(series.map(({ labels, value }) => [names.map((name) => labels[name]).join(' '), value]))
  /** What a histogram counted, whether it is native there or not. */
  const counts = (format: Scraped, name: string) => format === 'protobuf' ? `histogram_count(${name})` : `${name}_count`

  for (const format of FORMATS) {
    const { [format]: prometheus } = running
    await t.test(format, async (t) => {
      t.same([...answered.get(format) ?? []], [CONTENT_TYPES[format]])

      t.same(by(await prometheus.query('http_requests_received_total'), 'method', 'route'), {
        'GET /': 3, 'GET /walks/start': 1, 'POST /walks/start': 3, 'POST /walks/complete': 2, 'GET /status': 2, 'GET __unmatched__': 1
      })
      t.same(by(await prometheus.query(`sum by (route, status_code) (${counts(format, 'http_request_duration_seconds')})`), 'route', 'status_code'), {
        '/ 200': 3, '/walks/start 200': 1, '/walks/start 303': 2, '/walks/start 400': 1, '/walks/complete 303': 2, '/status 200': 2, '__unmatched__ 404': 1
      })
      const own = await prometheus.query('{__name__=~"walks_started|walks_completed|invalid_walks|walk_distance_(sum|count|bucket)"}')
      t.same(by(own, '__name__', 'le'), {
        'walks_started ': 2,
        'walks_completed ': 2,
        'invalid_walks ': 1,
        'walk_distance_sum ': 2350,
        'walk_distance_count ': 2,
        ...Object.fromEntries(['0.0', '50.0', '200.0', '400.0'].map((le) => [`walk_distance_bucket ${le}`, 0])),
        'walk_distance_bucket 800.0': 1,
        'walk_distance_bucket 1600.0': 2,
        'walk_distance_bucket 3200.0': 2,
        'walk_distance_bucket +Inf': 2
      })
      t.same(by(await prometheus.query('model_inserts_total'), 'model'), { walker: 4, dog: 8, walk: 2 })
      const queries = by(await prometheus.query(counts(format, 'db_query_duration_seconds')), 'alias', 'operation')
      t.equal(queries['status select'], 2)
      for (const operation of ['insert', 'update']) {
        t.equal(queries[`default ${operation}`], before.sum('db_query_duration_seconds_count', { operation }) + 2, operation)
      }
      t.same(await prometheus.query('metrics_instrumentation_errors_total'), [])

      t.same(by(await prometheus.query('dog_mood'), 'name'), { NaN, '+Inf': Infinity, '-Inf': -Infinity, tiny: 5e-324, huge: 1.7976931348623157e308 })
      t.same(by(await prometheus.query('dog_nap_seconds'), 'quantile'), { '0.5': 600, '0.99': 6000, '1.0': 6000 })
      t.same(by(await prometheus.query('{__name__=~"dog_nap_seconds_(sum|count)"}'), '__name__'), { dog_nap_seconds_sum: 6660, dog_nap_seconds_count: 3 })
      t.same(by(await prometheus.query('dog_barks_total'), 'name'), { [AWKWARD]: 3 })
      t.same(by(await prometheus.query('dog_weight_grams_bucket'), 'le'), { '1e-05': 1, '0.5': 2, '100.0': 4, '1e+06': 5, '6.7108864e+07': 6, '+Inf': 7 })
      const median = 0.5 + (100 - 0.5) * (WEIGHTS.length / 2 - 2) / 2
      t.equal(await prometheus.value('histogram_quantile(0.5, dog_weight_grams_bucket)'), median, 'the way from 0.5 to 100 that 1.5 of its 2 values are')
    })
  }

  await t.test('the series are the same ones in every format, names and labels', async (t) => {
    /**
     * A native histogram is one series in protobuf, and lines of several names in the other formats. What runs in Node
     * at this moment (nodejs_active_...) is another thing at the next.
     */
    const seriesOf = async (format: Scraped, natives: ReadonlySet<string | undefined>) => {
      const found = await running[format].query('{__name__=~".+", __name__!~"nodejs_active_.+|.+_created"}')
      return found.flatMap(({ labels: { __name__: name = '', job, instance, ...labels } }) => {
        const [, family, part] = /^(.+)_(bucket|sum|count)$/.exec(name) ?? []
        if (format !== 'protobuf' && natives.has(family) && part !== 'count') return []
        return [`${format !== 'protobuf' && natives.has(family) ? family : name} ${JSON.stringify(Object.entries(labels).sort())}`]
      }).sort()
    }
    const sets = async () => {
      const natives = new Set((await running.protobuf.query('{__name__=~".+"}')).flatMap(({ labels, histogram }) => histogram === undefined ? [] : [labels['__name__']]))
      return { natives, protobuf: await seriesOf('protobuf', natives), openmetrics: await seriesOf('openmetrics', natives), text: await seriesOf('text', natives) }
    }
    let found = await sets()
    const same = async () => {
      found = await sets()
      return [found.openmetrics, found.text].every((series) => JSON.stringify(series) === JSON.stringify(found.protobuf))
    }
    // A series that came with the last scrape of one may be a second away for another.
    await running.text.until(same, 'the same series in every format').catch(() => {})
    t.same(found.openmetrics, found.protobuf)
    t.same(found.text, found.protobuf)
    t.ok(found.protobuf.length > 200, `${found.protobuf.length} series`)
    t.same([...found.natives].sort(), [
      'bare_db_connection_create_duration_seconds', 'bare_db_connection_use_duration_seconds', 'bare_db_pool_acquire_duration_seconds', 'bare_db_query_duration_seconds',
      'db_connection_create_duration_seconds', 'db_connection_use_duration_seconds', 'db_pool_acquire_duration_seconds', 'db_query_duration_seconds',
      'dog_balance', 'dog_nothing', 'dog_speed', 'dog_speed_coarse', 'dog_speed_fine', 'dog_speed_lowered',
      'http_handler_duration_seconds', 'http_request_db_duration_seconds', 'http_request_db_queries', 'http_request_duration_seconds',
      'http_request_size_bytes', 'http_response_size_bytes'
    ])
  })

  await t.test('the types, units and helps are those of the metrics', async (t) => {
    const expected: Record<string, [type: string, openMetrics?: string, unit?: string]> = {
      http_requests_received_total: ['counter', 'http_requests_received'],
      http_requests_in_flight: ['gauge'],
      http_request_duration_seconds: ['histogram', 'http_request_duration_seconds', 'seconds'],
      http_response_size_bytes: ['histogram', 'http_response_size_bytes', 'bytes'],
      walk_distance: ['histogram'],
      dog_speed_fine: ['histogram'],
      dog_mood: ['gauge'],
      dog_nap_seconds: ['summary', 'dog_nap_seconds', 'seconds'],
      dog_barks_total: ['counter', 'dog_barks']
    }
    for (const format of FORMATS) {
      const metadata = new Map((await running[format].metadata()).map((entry) => [entry.metric, entry]))
      for (const [name, [type, openMetrics = name, unit = '']] of Object.entries(expected)) {
        const { [format]: there } = { protobuf: name, text: name, openmetrics: openMetrics }
        t.match(metadata.get(there), { type, help: /\.$/, unit: format === 'openmetrics' ? unit : '' }, `${there} in ${format}`)
      }
      t.match(metadata.get('walks_started'), { type: format === 'openmetrics' ? 'unknown' : 'counter', help: 'Walks that began.' }, `without _total in ${format}`)
    }
  })

  await t.test('no series is stored that only says when another began', async (t) => {
    for (const format of FORMATS) t.same(await running[format].query('{__name__=~".+_created"}'), [], format)
  })

  await t.test('native histograms', async (t) => {
    const { protobuf: prometheus } = running
    await t.test('may be there without classic buckets', async (t) => {
      const { count, buckets } = await prometheus.native('bare_db_query_duration_seconds')
      t.equal(count, 5)
      t.ok(buckets.every(({ lower, upper }) => upper === 2 * lower), 'of schema 0')
      for (const format of ['openmetrics', 'text'] as const) {
        t.same(by(await running[format].query('bare_db_query_duration_seconds_bucket'), 'operation', 'le'), { 'select +Inf': 5 }, format)
      }
    })

    await t.test('are those of the service, too', async (t) => {
      for (const name of ['http_request_duration_seconds', 'http_response_size_bytes', 'db_query_duration_seconds']) {
        const { count, sum, buckets } = await prometheus.native(`sum(${name})`)
        t.ok(count > 10 && sum > 0, name)
        t.equal(buckets.reduce((sum, { count }) => sum + count, 0), count, name)
        const median = await prometheus.value(`histogram_quantile(0.5, sum(${name}))`)
        t.ok(buckets.some(({ lower, upper }) => median > 0 && median >= lower && median <= upper), name)
      }
      const page = new Page(await app.metrics.render())
      t.equal(await prometheus.value('sum(histogram_sum(http_response_size_bytes))'), page.sum('http_response_size_bytes_sum'))
      t.equal(await prometheus.value('histogram_count(sum(db_query_duration_seconds{alias="status"}))'), 2)
    })
  })

  await t.test('exemplars lead to their traces', async (t) => {
    /** The labels of the exemplars that a series has, by its bound. */
    const exemplars = async (format: Scraped, promql: string) => {
      const found = await running[format].exemplars(promql)
      return found.flatMap(({ exemplars }) => exemplars.map(({ labels, value, timestamp }) => {
        t.ok(Math.abs(Date.now() / 1000 - timestamp) < 120)
        return [labels['trace_id'], Number(value)]
      })).sort(([, a], [, b]) => (a as number) - (b as number))
    }
    // The last of each bucket: 99 and 100 are in one.
    const weights = WEIGHTS.map((grams, i) => [`weight-${i}`, grams]).filter(([, grams]) => grams !== 99)
    for (const format of ['openmetrics', 'protobuf'] as const) {
      t.same(await exemplars(format, 'dog_weight_grams_bucket'), weights, `of classic buckets in ${format}`)
      t.same(await exemplars(format, 'dog_barks_total'), [['squirrel', 3]], `of a counter in ${format}`)
    }
    t.same(await exemplars('openmetrics', 'dog_speed_bucket'), [['slow', 0.2], ['fast', 5]])
    // Prometheus 2.42 takes the first one of a native histogram.
    t.same((await exemplars('protobuf', 'dog_speed'))[0], ['slow', 0.2])
    t.same(await exemplars('text', 'dog_weight_grams_bucket'), [], 'which text has none of')

    for (const [format, query] of [['openmetrics', 'http_request_duration_seconds_bucket{route="/status"}'], ['protobuf', 'http_request_duration_seconds{route="/status"}']] as const) {
      const ids = (await running[format].exemplars(query)).flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels['request_id'] ?? ''))
      t.ok(ids.length > 0 && ids.every((id) => requests.get('/status')?.includes(id)), `${format}: ${ids.join()} of ${requests.get('/status')?.join()}`)
    }
  })

  await t.test('nothing was wrong with any scrape', async (t) => {
    await everyScrapeWentWell(t, running)
    for (const format of FORMATS) t.ok(await running[format].value('min_over_time(scrape_samples_scraped[5m])') > 200, format)
  })
})
