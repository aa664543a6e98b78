import t from 'tap'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { findHelm, only, secretValue } from '../support/helm.js'
import { startNginx } from '../support/nginx.js'
import { startPrometheus, type PrometheusConfig, type Series } from '../support/prometheus.js'
import { hurried } from '../support/rules.js'
import { startService } from '../support/service.js'

/*
 * All of it once: the service on its PostgreSQL, nginx before it as the chart configures that, a Prometheus with the configuration of examples/ that has
 * the password from the chart's Secret, and visitors who come through nginx. Another job of the same Prometheus has a wrong password.
 */
const examples = new URL('../../examples/', import.meta.url)
const pathOf = (file: string) => fileURLToPath(new URL(file, examples))
const read = (file: string) => parse(readFileSync(pathOf(file), 'utf8')) as Required<PrometheusConfig>

t.test('from a visitor to an answer of Prometheus', async (t) => {
  const helm = await findHelm(t)
  if (helm === undefined) return
  const objects = helm.render('-f', pathOf('kubernetes/values/minimal.yaml'))
  const secret = only(objects, 'Secret', 'walks-dog-walking-metrics')
  const [username, password] = [secretValue(secret, 'username'), secretValue(secret, 'password')]

  const service = await startService(t)
  const nginx = await startNginx(t, {
    conf: only(objects, 'ConfigMap')['data']['nginx.conf'],
    htpasswd: secretValue(secret, 'htpasswd'),
    upstreamPort: Number(new URL(service.url).port)
  })
  if (nginx === undefined) return

  const config = read('prometheus/prometheus.yml')
  const job = { ...config.scrape_configs[0], static_configs: [{ targets: [`127.0.0.1:${nginx.port}`] }] }
  const prometheus = await startPrometheus(t, {
    global: { scrape_interval: '2s', evaluation_interval: '1s' },
    rule_files: await hurried(t, config.rule_files.map((file) => pathOf(`prometheus/${file}`))),
    scrape_configs: [
      { ...job, basic_auth: { username, password } },
      { ...job, job_name: 'wrong-password', basic_auth: { username, password: `${password}!` } },
      { ...job, job_name: 'no-password' }
    ]
  })
  if (prometheus === undefined) return
  await prometheus.scraped('dog-walking')

  // Visitors come through nginx.
  service.url = nginx.url
  for (const metres of [300, 300, 300, 3000]) await service.walk(metres)
  await service.visitor.send('/walks/start', {})
  for (const path of ['/', '/', '/status', '/no-such-page']) await service.visitor.open(path)
  await prometheus.scraped('dog-walking')
  await prometheus.evaluated()

  const by = (series: Series[], ...names: string[]) => Object.fromEntries(series.map(({ labels, value }) => [names.map((name) => labels[name]).join(' '), value]))

  t.equal(await prometheus.value('walks_started'), 4)
  t.equal(await prometheus.value('walks_completed'), 4)
  t.equal(await prometheus.value('invalid_walks'), 1)
  t.equal(await prometheus.value('walk_distance_sum'), 3900)
  // Three of four are between 200 and 400 metres: the half of all is two thirds of the way.
  t.equal((await prometheus.value('histogram_quantile(0.5, walk_distance_bucket)')).toFixed(3), (200 + 200 * 2 / 3).toFixed(3))
  t.same(by(await prometheus.query('sum by (method, route, status_code) (http_request_duration_seconds_count)'), 'method', 'route', 'status_code'), {
    'GET / 200': 2,
    'GET /walks/start 200': 4,
    'POST /walks/start 303': 4,
    'POST /walks/start 400': 1,
    'POST /walks/complete 303': 4,
    'GET /status 200': 1,
    'GET __unmatched__ 404': 1
  })
  t.same(by(await prometheus.query('model_inserts_total'), 'model'), { dog: 0, walk: 4, walker: 0 })
  t.same(by(await prometheus.query('sum by (alias, operation) (db_query_duration_seconds_count{operation=~"insert|update"} or db_query_duration_seconds_count{alias="status"})'), 'alias', 'operation'),
    { 'default insert': 4, 'default update': 4, 'status select': 1 })
  t.equal(await prometheus.value('sum(http_request_queue_duration_seconds_count)'), 17, 'nginx says when each request came')
  t.same(await prometheus.query('metrics_instrumentation_errors_total'), [])
  const compat = 'django_http_requests_total_by_view_transport_method_total{view="/walks/complete"}'
  t.same(by(await prometheus.query(compat), 'view', 'transport', 'method'), { '/walks/complete http POST': 4 })

  t.same(by(await prometheus.query('up'), 'job'), { 'dog-walking': 1, 'wrong-password': 0, 'no-password': 0 })
  const errors = Object.fromEntries((await prometheus.targets()).map(({ labels, health, lastError }) => [labels['job'], `${health} ${lastError}`.trim()]))
  t.same(errors, {
    'dog-walking': 'up',
    'wrong-password': 'down server returned HTTP status 401 Unauthorized',
    'no-password': 'down server returned HTTP status 401 Unauthorized'
  })

  await t.test('the service stops, and its target is down until it is back', async (t) => {
    const port = Number(new URL(nginx.url).port)
    t.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200)
    await service.stop()
    await prometheus.until(async () => (await prometheus.value('up{job="dog-walking"}')) === 0, 'a scrape that fails')
    const [target] = (await prometheus.targets()).filter(({ labels }) => labels['job'] === 'dog-walking')
    t.match(target, { health: 'down', lastError: 'server returned HTTP status 502 Bad Gateway' })
  })
})
