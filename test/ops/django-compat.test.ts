import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { Redis } from 'ioredis'
import pg from 'pg'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { DataSource } from 'typeorm'
import { instrumentCache } from '../../adapters/cache.js'
import { instrumentPool } from '../../adapters/pg.js'
import { instrumentDataSource } from '../../adapters/typeorm.js'
import { metricsPlugin } from '../../src/index.js'
import { AddLeads1700000000001, Dog, entities } from '../adapters/typeorm-entities.js'
import { guide } from '../support/guide.js'
import { freePort, startPostgres } from '../support/postgres.js'
import { startPrometheus, type Prometheus, type Series } from '../support/prometheus.js'
import { startRedis } from '../support/redis.js'

/*
 * A service with all that django-prometheus knows, the opt-in metrics included, and a Prometheus with the rules. The page of a real django-prometheus says
 * which series there must be, and which labels they have.
 */
const rules = fileURLToPath(new URL('../../examples/prometheus/django-compat.rules.yml', import.meta.url))
const django = readFileSync(new URL('fixtures/django-prometheus-2.5.0.prom', import.meta.url), 'utf8')
/** What the rules say that there is nothing to make of. */
const MISSING = ['django_db_execute_many_total']
/** Of the target, and of Prometheus itself. */
const TARGET = ['__name__', 'job', 'instance']

interface Views extends FastifyReply {
  view (template: string): FastifyReply
}

async function startDjangoLike (registry: Registry): Promise<FastifyInstance> {
  const app = Fastify()
  app.decorateReply('view', function (this: FastifyReply, template: string) { return this.type('text/html; charset=utf-8').send(template) })
  await app.register(metricsPlugin, {
    registry, metrics: { http_requests_ajax_total: true, http_responses_charset_total: true, http_responses_template_total: true }
  })
  app.get('/', async (_request, reply) => (reply as Views).view('index.html'))
  app.post('/', async () => 'posted')
  app.get('/objection', async () => { throw new TypeError('objection') })
  app.get('/file', async (_request, reply) => reply.send(Readable.from(['a', 'stream'])))
  app.get('/slow', (_request, reply) => { app.server.emit('slow', reply) })
  return app
}

t.test('every series of django-prometheus is there under its name, with its labels and a true value', async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const registry = new Registry()
  const dataSource = new DataSource({ type: 'postgres', ...postgres.config, entities, migrations: [AddLeads1700000000001], synchronize: true })
  instrumentDataSource(dataSource, { registry, models: 'dog' })
  await dataSource.initialize()
  t.teardown(() => dataSource.destroy())
  await dataSource.runMigrations()
  const nobody = new pg.Pool({ host: '127.0.0.1', port: await freePort() })
  t.teardown(() => nobody.end())
  instrumentPool(nobody, { registry, alias: 'nobody' })
  const server = await startRedis(t)
  if (server === undefined) return
  const redis = new Redis({ port: server.port })
  t.teardown(() => { redis.disconnect() })
  instrumentCache(redis, { registry, backend: 'sessions' })

  const app = await startDjangoLike(registry)
  t.teardown(() => app.close())
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const prometheus = await startWithRules(t, url, '2s')
  if (prometheus === undefined) return

  const dog = await dataSource.manager.save(Object.assign(new Dog(), { name: 'Pixel' }))
  await dataSource.manager.save(Object.assign(dog, { name: 'Rex' }))
  await dataSource.manager.remove(dog)
  await t.rejects(dataSource.query('SELECT * FROM cat'))
  await t.rejects(nobody.query('SELECT 1'), { code: 'ECONNREFUSED' })
  await redis.set('a', '')
  t.same([await redis.get('a'), await redis.mget('a', 'b', 'c')], ['', ['', null, null]])
  await redis.lpush('list', 'x')
  await t.rejects(redis.get('list'), /WRONGTYPE/)

  for (const path of ['/', '/', '/objection', '/file', '/nowhere']) await (await fetch(url + path)).arrayBuffer()
  await fetch(url, { headers: { 'x-requested-with': 'XMLHttpRequest' } })
  await fetch(url, { method: 'POST', body: 'twelve bytes' })
  await fetch(url, { method: 'PROPFIND' })
  // A client that leaves.
  await askAndLeave(app, url)

  await prometheus.scraped()
  await prometheus.evaluated()

  const all = await prometheus.query('{__name__=~"django_.+"}')
  const labelsOf = (series: Series) => Object.keys(series.labels).filter((label) => !TARGET.includes(label)).sort().join()
  for (const [, family = '', type] of django.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    for (const name of type === 'histogram' ? [`${family}_bucket`, `${family}_sum`, `${family}_count`] : [family]) {
      const found = all.filter(({ labels }) => labels['__name__'] === name)
      if (MISSING.includes(family)) {
        t.same(found, [], `${name} is named as missing`)
        continue
      }
      t.ok(found.length > 0, name)
      const there = new RegExp(`^${name}(?:\\{(.*)\\})? `, 'm').exec(django)
      const expected = there === null ? name.startsWith('django_cache_') ? 'backend' : 'alias,vendor' : [...(there[1] ?? '').matchAll(/(\w+)="/g)].map(([, label]) => label).sort().join()
      t.same([...new Set(found.map(labelsOf))], [expected], `the labels of ${name}`)
      for (const { labels } of found) t.match(labels, { job: 'fastify', instance: /^127/ }, 'for each instance')
    }
  }

  const values = async (name: string, ...labels: string[]) =>
    Object.fromEntries((await prometheus.query(name)).map((series) => [labels.map((label) => series.labels[label]).join(' '), series.value]))
  t.same(await values('django_http_requests_total_by_view_transport_method_total', 'method', 'transport', 'view'), {
    'GET http /': 3, 'POST http /': 1, 'GET http /objection': 1, 'GET http /file': 1, 'GET http <unnamed view>': 1, '<invalid method> http <unnamed view>': 1, 'GET http /slow': 1
  })
  t.same(await values('django_http_requests_total_by_method_total', 'method'), { GET: 7, POST: 1, '<invalid method>': 1 })
  t.same(await values('django_http_responses_total_by_status_total', 'status'), { 200: 5, 404: 2, 499: 1, 500: 1 })
  t.same(await values('django_http_requests_latency_seconds_by_view_method_count', 'method', 'view'), {
    'GET /': 3, 'POST /': 1, 'GET /objection': 1, 'GET /file': 1, 'GET <unnamed view>': 1, '<invalid method> <unnamed view>': 1
  })
  t.same(await values('django_http_exceptions_total_by_view_total', 'view'), { '/objection': 1 })
  t.same(await values('django_http_exceptions_total_by_type_total', 'type'), { TypeError: 1 })
  t.same(await values('django_http_ajax_requests_total'), { '': 1 })
  t.same(await values('django_http_responses_streaming_total'), { '': 1 })
  t.same(await values('django_http_responses_total_by_templatename_total', 'templatename'), { 'index.html': 3 })
  t.same(await values('django_http_requests_body_total_bytes_sum'), { '': 12 })
  t.same(await values('django_http_requests_unknown_latency_total'), { '': 0 })
  t.same(await values('django_migrations_unapplied_total', 'connection'), { default: 0 })
  t.same(await values('django_migrations_applied_total', 'connection'), { default: 1 })
  t.same(await values('{__name__=~"django_model_.+"}', '__name__', 'model'), { 'django_model_inserts_total dog': 1, 'django_model_updates_total dog': 1, 'django_model_deletes_total dog': 1 })
  t.same(await values('django_db_errors_total', 'alias', 'vendor', 'type'), { 'default postgresql undefined_table': 1 })
  t.same(await values('django_db_new_connection_errors_total', 'alias', 'vendor'), { 'nobody postgresql': 1 })
  t.same(await values('{__name__=~"django_cache_.+"}', '__name__', 'backend'), {
    'django_cache_get_total sessions': 4, 'django_cache_get_hits_total sessions': 2, 'django_cache_get_misses_total sessions': 2, 'django_cache_get_fail_total sessions': 1
  })
  t.equal(await prometheus.value('sum(django_db_execute_total)'), await prometheus.value('sum(db_query_duration_seconds_count)'))
})

t.test('an admin is routes like any other, and a client that left changes the shares that the page says', async (t) => {
  const app = await startDjangoLike(new Registry())
  t.teardown(() => app.close())
  // As AdminJS has its routes.
  app.get('/admin', async () => 'admin')
  app.get('/admin/resources/:resourceId', async () => 'dogs')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const prometheus = await startWithRules(t, url, '1s')
  if (prometheus === undefined) return
  const ask = async (...paths: string[]) => { for (const path of paths) await (await fetch(url + path)).arrayBuffer() }
  await ask('/', '/', '/', '/', '/objection', '/nowhere', '/admin', '/admin/resources/dogs')
  await askAndLeave(app, url)
  await prometheus.scraped()
  await prometheus.evaluated()

  const series = 'django_http_responses_total_by_status_view_method_total'
  const labelled = async (query: string, label: string) => (await prometheus.query(query)).map(({ labels }) => labels[label]).sort()
  t.same(await prometheus.query('{__name__=~"django_.+", view=~"admin.*"}'), [], 'no view has the name of an admin')
  t.same(await labelled(`${series}{view=~"/admin.*"}`, 'view'), ['/admin', '/admin/resources/:resourceId'])
  t.same(await labelled('count by (__name__) ({__name__=~"django_.+", status="499"})', '__name__'), ['django_http_responses_total_by_status_total', series])
  for (const name of ['django_http_responses_before_middlewares_total', 'django_http_requests_latency_including_middlewares_seconds_count']) t.equal(await prometheus.value(name), 9, `${name}: with who left`)

  // Django counts the answer that nobody read: 200.
  const share = async (matcher: string, left: '499' | '200') => {
    const had = `label_replace(${series}, "status", "${left}", "status", "499")`
    const statuses = await prometheus.query(`sum by (status) (${had})`)
    const [, operator, pattern = ''] = /^status(=~|!~)"(.*)"$/.exec(matcher) ?? []
    const matching = statuses.filter(({ labels }) => new RegExp(`^(?:${pattern})$`).test(labels['status'] ?? '') === (operator === '=~'))
    return matching.reduce((sum, { value }) => sum + value, 0) / statuses.reduce((sum, { value }) => sum + value, 0)
  }
  const changes = guide('django-prometheus').table('a panel or alert on', 'with 499').flatMap(([matchers = '', said = '']) =>
    [...matchers.matchAll(/`([^`]+)`/g)].map(([, matcher = '']) => ({ matcher, said })))
  t.equal(changes.length, 5)
  for (const { matcher, said } of changes) {
    const [before, now] = [await share(matcher, '200'), await share(matcher, '499')]
    t.equal(now, await prometheus.value(`sum(${series}{${matcher}}) / sum(${series})`), `${matcher}, as Prometheus says`)
    t.equal(said.startsWith('the same') ? 'same' : said.startsWith('more') ? 'more' : 'less', now === before ? 'same' : now > before ? 'more' : 'less', `${matcher}: ${before} is ${now}`)
  }
  t.equal(await prometheus.value(`sum(${series}{status=~"4.*", status!="499"}) / sum(${series})`), await share('status=~"4.*"', '200'), 'without 499 the share is the old one')
})

/** Starts a Prometheus that scrapes a service, with the rules. */
async function startWithRules (t: Test, url: string, interval: string): Promise<Prometheus | undefined> {
  return await startPrometheus(t, {
    global: { scrape_interval: interval, evaluation_interval: '1s' },
    rule_files: [rules],
    scrape_configs: [{ job_name: 'fastify', static_configs: [{ targets: [url.slice('http://'.length)] }] }]
  })
}

/** A client that leaves before it is answered. */
async function askAndLeave (app: FastifyInstance, url: string): Promise<void> {
  const asked = request(`${url}/slow`).on('error', () => {}).end()
  const [reply] = await once(app.server, 'slow') as [FastifyReply]
  asked.destroy()
  await once(reply.raw, 'close')
}
