import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { parse } from 'yaml'
import { startDependent } from '../support/dependent.js'
import { startPrometheus } from '../support/prometheus.js'
import { OF_SERVICE, hurried, rulesFolder, type RuleFile } from '../support/rules.js'
import { startService, type Service } from '../support/service.js'

/*
 * The rules of examples/prometheus on native histograms alone: this Prometheus stores no classic buckets of the dog-walking service, nor of one that has a
 * cache and asks another service.
 */
const FILES = OF_SERVICE.map((file) => join(rulesFolder, file))
const recorded = FILES.flatMap((file) => (parse(readFileSync(file, 'utf8')) as RuleFile).groups.flatMap(({ rules }) => rules.flatMap(({ record = [] }) => record)))
const DJANGO = join(rulesFolder, 'django-compat.rules.yml')
/** Seconds that a request may take, as the rules have it. */
const BOUND = 0.5
/** What is left between a share of rates and a share of requests: the window does not begin at a request. */
const SHARE = 0.05

/** Some visitors wait for a table that is locked for longer than the bound. */
async function slowly (service: Service, path: string, visitors: number): Promise<void> {
  const other = new pg.Client(service.postgres.config)
  await other.connect()
  await other.query('BEGIN; LOCK TABLE walk IN ACCESS EXCLUSIVE MODE')
  const waiting = Array.from({ length: visitors }, () => service.visitor.open(path))
  await other.query(`SELECT pg_sleep(${2 * BOUND})`)
  await other.query('ROLLBACK')
  await other.end()
  await Promise.all(waiting)
}

t.test('the rules on native histograms alone', async (t) => {
  const service = await startService(t)
  const dependent = await startDependent(t)
  if (dependent === undefined) return
  await dependent.everyday()
  // Each series that is counted below exists before the first scrape: a rate does not see the request that makes its series.
  await service.everyday()
  await service.databaseDown()
  await service.visitor.open('/no-such-page')

  const prometheus = await startPrometheus(t, {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: await hurried(t, [...FILES, DJANGO]),
    scrape_configs: [
      { job_name: 'dog-walking', static_configs: [{ targets: [service.url.slice('http://'.length)] }] },
      // Its requests are not those that are counted below.
      { job_name: 'dependent', static_configs: [{ targets: [dependent.target] }], metric_relabel_configs: [{ source_labels: ['__name__'], regex: '(http_client|cache)_.+', action: 'keep' }] }
    ]
  }, 'native-histograms')
  if (prometheus === undefined) return
  const count = (labels: string) => prometheus.value(`sum(histogram_count(http_request_duration_seconds{${labels}}))`)
  const about = (value: number, wanted: number, what: string) => t.ok(Math.abs(value - wanted) <= SHARE, `${what}: ${value} is about ${wanted}`)
  await prometheus.scraped()
  await prometheus.scraped()
  t.same(await prometheus.query('{__name__=~"(http_request|http_client_request|db_query|cache_operation)_duration_seconds_(bucket|sum|count)"}'), [], 'there is no classic one')

  const before = { failed: await count('status_code="500"'), all: await count('') }
  const [rounds, found] = [15, 3]
  await service.postgres.stop()
  for (let round = 0; round < rounds; round++) {
    await service.visitor.open('/')
    for (let i = 0; i < found; i++) await service.visitor.open('/no-such-page')
    await prometheus.scraped()
  }
  await service.postgres.start()
  t.same({ failed: await count('status_code="500"') - before.failed, all: await count('') - before.all }, { failed: rounds, all: rounds * (1 + found) }, 'every request is in the histogram')

  await prometheus.evaluated()
  const share = 1 / (1 + found)
  about(await prometheus.value('job:http_request_errors:rate2m / job:http_requests:rate2m'), share, 'errors of all requests')
  for (const window of ['5m', '1h', '3d']) about(await prometheus.value(`job:http_request_errors:ratio_rate${window}`), share, `errors in ${window}`)
  t.equal(await prometheus.value('job_method_route:http_request_errors:ratio_rate5m{method="GET", route="/"}'), 1)
  t.equal(await prometheus.value('job_method_route:http_request_errors:ratio_rate5m{method="GET", route="__unmatched__"}'), 0)
  const errors = await prometheus.value('job:http_request_errors:rate2m') * 120
  t.ok(Math.abs(errors - rounds) <= 3, `${errors} errors in two minutes, and a second more at each end of them`)

  const [fast, slow] = [12, 4]
  const path = '/walks/complete'
  const route = `method="GET", route="${path}"`
  for (let i = 0; i < fast; i++) await service.visitor.open(path)
  await slowly(service, path, slow)
  await prometheus.scraped()
  await prometheus.evaluated()
  t.equal(await prometheus.value(`histogram_fraction(${BOUND}, Inf, http_request_duration_seconds{${route}}) * histogram_count(http_request_duration_seconds{${route}})`), slow, 'a bound that is one of a native bucket is exact')
  about(await prometheus.value(`job_method_route:http_requests_slow:rate2m{${route}} / job_method_route:http_requests_served:rate2m{${route}}`), slow / (fast + slow), 'slow requests of those that were served')
  about(await prometheus.value('job_method_route:http_requests_slow:rate2m{method="GET", route="__unmatched__"}'), 0, 'no page that is not there is slow')

  await prometheus.until(async () => (await prometheus.query('ALERTS{alertname="HttpErrorsFastBurn", alertstate="firing"}')).length > 0, 'HttpErrorsFastBurn')
  t.same(await prometheus.query('ALERTS{alertname=~"RulesSeeNothing|TargetMissing|ServiceDown"}'), [])
  t.ok((await prometheus.query('django_http_requests_total_by_method_total')).length > 0)
  t.same(await prometheus.query('{__name__=~"django_http_responses_(total_by_status|before).*|django_db_execute_total|django_.+_bucket"}'), [], 'as the page says: those are made of classic ones')
  for (let day = 0; day < 5; day++) {
    await dependent.everyday()
    await prometheus.scraped()
  }
  await prometheus.evaluated()
  // Of four requests a day, one is answered 503 and one not at all. Of seven operations, one is refused.
  const ofHost = `{host="${dependent.host}"}`
  about(await prometheus.value(`job_host:http_client_request_errors:rate2m${ofHost} / job_host:http_client_requests:rate2m${ofHost}`), 2 / 4, 'requests that failed')
  t.equal(await prometheus.value(`job_host:http_client_requests_slow:rate2m${ofHost}`), 0, 'none is slow')
  about(await prometheus.value('job_backend:cache_errors:rate2m{backend="walks"} / job_backend:cache_operations:rate2m{backend="walks"}'), 1 / 7, 'operations that failed')
  // What counts the business counts what came after the first scrape.
  await service.everyday()
  await prometheus.scraped()
  await prometheus.scraped()
  for (const { name, health, lastError = '' } of await prometheus.evaluated()) t.equal(health, 'ok', `${name} ${lastError}`)
  t.ok(recorded.length > 50)
  for (const name of new Set(recorded)) t.ok((await prometheus.query(name)).length > 0, name)
})
