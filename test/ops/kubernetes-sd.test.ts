import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { chart, findHelm, only, type Helm, type KubernetesObject } from '../support/helm.js'
import { startPrometheus, type Prometheus, type PrometheusConfig } from '../support/prometheus.js'
import { promtool } from '../support/promtool.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const examples = fileURLToPath(new URL('../../examples/kubernetes/', import.meta.url))
const PASSWORD = 'a password of the metrics'

type Labels = Record<string, string>

/**
 * What stands behind an endpoint slice's endpoint, told as Prometheus tells it
 * (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#endpointslice).
 */
interface Endpoint {
  namespace: string
  pod: string
  service: string
  /** The endpoint slice's name of the port; undefined for another port of the pod. */
  port?: string | undefined
  phase?: string
  labels: Labels
  annotations: Labels
}

function discovered ({ namespace, pod, service, port, phase = 'Running', labels, annotations }: Endpoint): Labels {
  const meta: Labels = { namespace, pod_name: pod, service_name: service, pod_phase: phase, ...port !== undefined && { endpointslice_port_name: port } }
  const named = (name: string) => name.replace(/\W/g, '_')
  for (const [name, value] of Object.entries(labels)) meta[`pod_label_${named(name)}`] = value
  for (const [name, value] of Object.entries(annotations)) meta[`pod_annotation_${named(name)}`] = value
  return Object.fromEntries(Object.entries(meta).map(([name, value]) => [`__meta_kubernetes_${name}`, value]))
}

/** What says which of the chart's pods it is. */
function endpoint (objects: readonly KubernetesObject[], namespace: string, pod: string): Endpoint {
  const service = only(objects, 'Service')
  const { labels = {}, annotations = {} } = only(objects, 'Deployment')['spec'].template.metadata as KubernetesObject['metadata']
  return { namespace, pod, service: service.metadata.name, port: service['spec'].ports[0].name, labels, annotations }
}

/** A page of metrics behind a password: a counter that grows by the second. */
async function startPod (t: Test): Promise<{ address: string, paths: Set<string> }> {
  const paths = new Set<string>()
  const wanted = `Basic ${Buffer.from(`prometheus:${PASSWORD}`).toString('base64')}`
  const server = createServer(({ url = '', headers }, response) => {
    paths.add(url)
    if (headers.authorization !== wanted) response.writeHead(401).end()
    else response.setHeader('content-type', 'text/plain; version=0.0.4').end(`# TYPE http_requests_received_total counter\nhttp_requests_received_total{route="/"} ${process.uptime()}\nhttp_requests_received_total{route="/x"} 1\n`)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, paths }
}

/** prometheus-scrape.yml with the answers of Kubernetes in the place of the question: this Prometheus cannot ask it. */
async function configure (t: Test, folder: string, address: string, endpoints: readonly Endpoint[]): Promise<PrometheusConfig> {
  const config = parse(await readFile(join(examples, 'prometheus-scrape.yml'), 'utf8')) as { scrape_configs: [Record<string, unknown> & { basic_auth: Labels }] }
  const [{ kubernetes_sd_configs: roles, basic_auth: auth, ...job }, ...others] = config.scrape_configs
  t.same(roles, [{ role: 'endpointslice' }])
  t.same(auth, { username: 'prometheus', password_file: '/etc/prometheus/dog-walking/password' })
  t.same(others, [])
  await writeFile(join(folder, 'password'), PASSWORD)
  return {
    scrape_configs: [{ ...job, scrape_interval: '1s', basic_auth: { ...auth, password_file: join(folder, 'password') }, static_configs: endpoints.map((endpoint) => ({ targets: [address], labels: discovered(endpoint) })) }]
  }
}

t.test('a Prometheus of the cluster finds the pods of the chart and no others, and the adapter\'s rule gives their requests per second', async (t) => {
  const helm = await findHelm(t)
  if (helm !== undefined) await finds(t, helm)
})

async function finds (t: Test, helm: Helm): Promise<void> {
  const folder = await temporaryFolder(t, 'sd')
  const values = (name: string) => helm.render('-f', join(chart, '../values', name))
  const ours = values('autoscaled.yaml')
  const one = endpoint(ours, 'dogs', 'walks-1')
  const dropped: Record<string, Endpoint> = {
    'another application': { ...endpoint(ours, 'dogs', 'cats-1'), labels: { 'app.kubernetes.io/name': 'cats', 'app.kubernetes.io/part-of': 'cats' } },
    'one that says nothing of itself': { ...endpoint(ours, 'dogs', 'walks-bare'), labels: {} },
    'one that asks not to': { ...one, pod: 'walks-false', annotations: { ...one.annotations, 'prometheus.io/scrape': 'false' } },
    'a second port of a pod': { ...one, pod: 'walks-second', port: undefined },
    'one that has ended': { ...one, pod: 'walks-ended', phase: 'Succeeded' },
    'one that has failed': { ...one, pod: 'walks-failed', phase: 'Failed' }
  }
  const renamed = endpoint(helm.render('-f', join(chart, '../values/minimal.yaml'), '--set', 'nameOverride=cats'), 'dogs', 'cats-walks-1')
  const kept = [one, endpoint(ours, 'dogs', 'walks-2'), endpoint(ours, 'staging', 'walks-1'), renamed, { ...one, pod: 'walks-path', annotations: { ...one.annotations, 'prometheus.io/path': '/elsewhere' } }]
  const pod = await startPod(t)
  const config = await configure(t, folder, pod.address, [...kept, ...Object.values(dropped)])

  const file = join(folder, 'prometheus.yml')
  await writeFile(file, JSON.stringify(config))
  const check = promtool(t, ['check', 'config', file])
  if (check !== undefined) t.equal(check.status, 0, check.output)

  const prometheus = await startPrometheus(t, config)
  if (prometheus === undefined) return
  await prometheus.scraped()
  const labels = ({ namespace, pod: name, service }: Endpoint) => ({ job: 'dog-walking', service, namespace, pod: name, instance: pod.address })
  const targets = await prometheus.targets()
  const sorted = (list: readonly object[]) => list.map((item) => JSON.stringify(Object.entries(item).sort())).sort()
  t.same(sorted(targets.map(({ labels }) => labels)), sorted(kept.map(labels)))
  t.same(targets.map(({ health, lastError }) => `${health}${lastError}`), kept.map(() => 'up'), 'with the password')
  t.same([...pod.paths].sort(), ['/elsewhere', '/metrics'])
  const { droppedTargets } = await prometheus.get<{ droppedTargets: Array<{ discoveredLabels: Labels }> }>('targets', { state: 'dropped' })
  t.same(droppedTargets.map(({ discoveredLabels }) => discoveredLabels['__meta_kubernetes_pod_name']).sort(), Object.values(dropped).map(({ pod }) => pod).sort())

  await adapts(t, prometheus, ours, [one, kept[1] as Endpoint])
}

/**
 * What prometheus-adapter does with its rule, for an autoscaler that asks for the pods of a namespace
 * (https://github.com/kubernetes-sigs/prometheus-adapter/blob/master/docs/config.md).
 */
async function adapts (t: Test, prometheus: Prometheus, ours: readonly KubernetesObject[], pods: readonly Endpoint[]): Promise<void> {
  const { rules: { custom } } = parse(await readFile(join(examples, 'prometheus-adapter.values.yaml'), 'utf8')) as {
    rules: { custom: Array<{ seriesQuery: string, metricsQuery: string, name: { matches: string, as: string }, resources: { overrides: Record<string, { resource: string }> } }> }
  }
  t.equal(custom.length, 1)
  const [{ seriesQuery, metricsQuery, name, resources: { overrides } }] = custom as [typeof custom[0] & object]
  const found = await prometheus.series(seriesQuery)
  t.ok(found.length > 0)
  for (const { __name__: series = '', ...labels } of found) {
    t.equal(series.replace(new RegExp(name.matches), name.as), 'http_requests_per_second')
    for (const label of Object.keys(overrides)) t.ok(labels[label], `the series have the label ${label}`)
  }
  t.equal(only(ours, 'HorizontalPodAutoscaler')['spec'].metrics[0].pods.metric.name, name.as, 'the autoscaler asks for it by this name')
  t.same(Object.values(overrides).map(({ resource }) => resource).sort(), ['namespace', 'pod'])

  const query = metricsQuery
    .replaceAll('<<.Series>>', found[0]?.['__name__'] as string)
    .replaceAll('<<.LabelMatchers>>', `namespace="dogs",pod=~"${pods.map(({ pod }) => pod).join('|')}"`)
    .replaceAll('<<.GroupBy>>', 'pod')
  t.notMatch(query, /<</)
  await prometheus.until(async () => (await prometheus.query(query)).length === pods.length, 'two scrapes')
  const rates = await prometheus.query(query)
  t.same(rates.map(({ labels }) => labels).sort((a, b) => String(a['pod']).localeCompare(String(b['pod']))), pods.map(({ pod }) => ({ pod })), 'one value a pod, whatever its routes')
  t.ok(rates.every(({ value }) => value > 0 && value < 2), `a pod's requests per second: ${rates.map(({ value }) => value).join()}`)
}
