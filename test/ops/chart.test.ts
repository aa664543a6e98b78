import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { container, everything, podTemplate, validate, valuesFile, valuesFiles } from '../support/chart.js'
import { chart, findHelm, only, type Helm, type KubernetesObject } from '../support/helm.js'

/** What is there before the chart is: Secrets with their keys, and ConfigMaps. */
interface Existing {
  readonly secrets: ReadonlyMap<string, readonly string[]>
  readonly configMaps: readonly string[]
}

const existing: Existing = {
  secrets: new Map([['dogs-postgres', ['postgres-password']], ['dogs-metrics', ['username', 'password', 'htpasswd']]]),
  configMaps: ['company-ca']
}
const nothing: Existing = { secrets: new Map(), configMaps: [] }

/** What no model of a single object can see: that they fit together. */
function fits (t: Test, objects: readonly KubernetesObject[], { secrets: there, configMaps }: Existing): void {
  const deployment = only(objects, 'Deployment')
  const service = only(objects, 'Service')
  const { metadata, spec } = podTemplate(objects)
  const all = [...spec.initContainers, ...spec.containers]
  const ports = spec.containers.flatMap(({ ports = [] }) => ports)
  const found = (kind: string) => objects.find((object) => object.kind === kind)

  t.same(new Set(objects.map(({ kind, metadata: { name } }) => `${kind}/${name}`)).size, objects.length, 'names are unique')
  for (const { kind, metadata: { labels = {} } } of objects) {
    for (const label of ['name', 'instance', 'version', 'managed-by']) t.ok(labels[`app.kubernetes.io/${label}`], `${kind} has the label ${label}`)
    t.ok(labels['helm.sh/chart'])
  }
  t.match(metadata.labels, deployment['spec'].selector.matchLabels, 'the Deployment selects its pods')
  t.match(metadata.labels, service['spec'].selector, 'the Service selects them')
  for (const { targetPort } of service['spec'].ports) t.ok(ports.some(({ name }) => name === targetPort), `a container has the Service's port ${targetPort}`)

  const monitor = found('ServiceMonitor')
  if (monitor !== undefined) {
    t.match(service.metadata.labels, monitor['spec'].selector.matchLabels, 'the ServiceMonitor selects the Service')
    for (const { port } of monitor['spec'].endpoints) t.ok(service['spec'].ports.some(({ name }: { name: string }) => name === port), `the Service has the ServiceMonitor's port ${port}`)
  }
  const budget = found('PodDisruptionBudget')
  if (budget !== undefined) t.same(budget['spec'].selector, deployment['spec'].selector, 'the budget is for these pods')
  const network = found('NetworkPolicy')
  if (network !== undefined) {
    t.same(network['spec'].podSelector, deployment['spec'].selector, 'the NetworkPolicy is for these pods')
    for (const { port } of network['spec'].ingress[0].ports) t.ok(ports.some(({ name }) => name === port))
  }
  for (const { labelSelector } of spec['topologySpreadConstraints'] ?? []) t.same(labelSelector, deployment['spec'].selector, 'these pods are spread')
  const backends = [
    ...(found('Ingress')?.['spec'].rules ?? []).map(({ http: { paths: [{ backend: { service } }] } }: KubernetesObject) => [service.name, service.port.name]),
    ...(found('HTTPRoute')?.['spec'].rules ?? []).map(({ backendRefs: [{ name, port }] }: KubernetesObject) => [name, port])
  ]
  for (const [name, port] of backends) {
    t.equal(name, service.metadata.name)
    t.ok(service['spec'].ports.some((there: { name: string, port: number }) => there.name === port || there.port === port), `the Service has the port ${port}`)
  }

  const secrets = new Map(there)
  for (const secret of objects.filter(({ kind }) => kind === 'Secret')) secrets.set(secret.metadata.name, Object.keys(secret['data']))
  const wanted = [
    ...all.flatMap(({ env = [] }) => env).flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? []),
    ...(monitor?.['spec'].endpoints ?? []).flatMap(({ basicAuth }: { basicAuth: object }) => Object.values(basicAuth))
  ] as Array<{ name: string, key: string }>
  for (const { secret, configMap } of spec.volumes) {
    if (secret !== undefined) wanted.push(...secret.items.map(({ key }) => ({ name: secret.secretName, key })))
    if (configMap !== undefined) t.ok(configMaps.includes(configMap.name) || only(objects, 'ConfigMap', configMap.name), `there is the ConfigMap ${configMap.name}`)
  }
  for (const { name, key } of wanted) t.ok(secrets.get(name)?.includes(key), `the Secret ${name} has the key ${key}`)
  t.same(new Set(wanted.map(({ name }) => name)), new Set(secrets.keys()), 'every Secret is used')

  for (const { name, volumeMounts, securityContext, resources } of all) {
    for (const mount of volumeMounts) {
      const volume = spec.volumes.find((volume) => volume.name === mount.name)
      t.ok(volume, `${name}'s volume ${mount.name} exists`)
      if (volume?.configMap !== undefined && mount.subPath !== undefined) t.ok(only(objects, 'ConfigMap', volume.configMap.name)['data'][mount.subPath], `${volume.configMap.name} has ${mount.subPath}`)
    }
    t.same(securityContext, { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }, name)
    t.ok(volumeMounts.some(({ mountPath }) => mountPath === '/tmp'), `${name} may write to /tmp`)
    t.ok(resources.requests.memory && resources.limits.memory, `${name}'s memory is bounded`)
  }
  t.same(spec['securityContext'], { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
  t.equal(spec['automountServiceAccountToken'], false)
  const sleeps = spec.containers.map(({ lifecycle }) => lifecycle.preStop.sleep.seconds as number)
  t.ok(Math.max(...sleeps) + 5 < Number(spec['terminationGracePeriodSeconds']), 'a pod has the time to stop')

  const autoscaler = found('HorizontalPodAutoscaler')
  if (autoscaler !== undefined) {
    t.same(autoscaler['spec'].scaleTargetRef, { apiVersion: deployment.apiVersion, kind: deployment.kind, name: deployment.metadata.name })
    t.notOk('replicas' in deployment['spec'], 'the autoscaler alone says how many pods')
  } else t.ok(deployment['spec'].replicas >= 2)
}

const helm = await findHelm(t)
if (helm !== undefined) await tests(helm)

async function tests (helm: Helm): Promise<void> {
  const cases = [...valuesFiles.map(({ name, file }) => ({ name, options: ['-f', file] })), { name: 'everything', options: everything }]
  for (const { name, options } of cases) {
    t.test(`with ${name}, what is rendered is valid and fits together`, async (t) => {
      const { status, stdout, stderr } = helm.run('lint', '--strict', chart, ...options)
      t.equal(status, 0, stdout + stderr)
      const objects = helm.render(...options)
      // No package here has a model of the Gateway API: chart-values.test.ts has the whole of the HTTPRoute.
      for (const object of objects.filter(({ kind }) => kind !== 'HTTPRoute')) t.doesNotThrow(() => validate(object), `${object.kind} ${object.metadata.name}`)
      fits(t, objects, { secrets: name === 'existing-secrets.yaml' ? existing.secrets : nothing.secrets, configMaps: existing.configMaps })
      t.equal(helm.template(...options).stdout, helm.template(...options).stdout, 'twice the same: nothing is drawn anew')
      t.match(helm.notes(...options), /^NOTES:/)
    })
  }

  t.test('with everything, there is every kind', async (t) => {
    t.same([...new Set(helm.render(...everything).map(({ kind }) => kind))].sort(), [
      'ConfigMap', 'Deployment', 'HTTPRoute', 'HorizontalPodAutoscaler', 'Ingress', 'NetworkPolicy', 'PodDisruptionBudget', 'PrometheusRule', 'Secret', 'Service',
      'ServiceAccount', 'ServiceMonitor'
    ])
  })

  t.test('the models refuse what is wrong', async (t) => {
    const objects = helm.render(...everything)
    const wrong: Array<[kind: string, spec: object]> = [
      ['ServiceMonitor', { endpoints: [] }], ['PodDisruptionBudget', { maxUnavailable: {} }], ['NetworkPolicy', { podSelector: 1 }], ['Ingress', { rules: {} }],
      ['PrometheusRule', { groups: [{}] }], ['HorizontalPodAutoscaler', {}]
    ]
    for (const [kind, spec] of wrong) t.throws(() => validate({ ...objects.find((object) => object.kind === kind) as KubernetesObject, spec }), kind)
    const secret = objects.find(({ kind }) => kind === 'Secret') as KubernetesObject
    t.throws(() => validate({ ...secret, data: { a: 1 } }))
    t.throws(() => validate({ ...secret, kind: 'Secreta' }), { message: /no model of v1 Secreta/ })
    t.throws(() => validate({ ...only(objects, 'ServiceAccount'), automountServiceAccountToken: 'no' }))
  })

  t.test('every value has a description, and its line in values.yaml', async (t) => {
    interface Schema { description?: string, properties?: Record<string, Schema>, items?: Schema, additionalProperties?: unknown, $ref?: string, type?: unknown }
    const schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8')) as Schema & { definitions: Record<string, Schema> }
    const text = readFileSync(join(chart, 'values.yaml'), 'utf8')
    const { parse } = await import('yaml')
    let closed = 0
    const described = (path: string, schema: Schema) => {
      const { properties = {}, items, additionalProperties, type } = schema
      if (type === 'object' && path !== '/global') {
        closed++
        t.ok(additionalProperties === false || typeof additionalProperties === 'object', `${path} is closed, or says what its values are`)
      }
      for (const [name, inner] of Object.entries(properties)) {
        t.ok(inner.description, `${path}/${name} has a description`)
        described(`${path}/${name}`, inner)
      }
      if (items !== undefined) described(`${path}/0`, items)
    }
    described('', schema)
    for (const [name, definition] of Object.entries(schema.definitions)) {
      t.ok(definition.description, name)
      described(name, definition)
      t.ok(JSON.stringify(schema).includes(`"#/definitions/${name}"`), `${name} is used`)
    }
    t.ok(closed > 40, `${closed} objects`)

    const compare = (path: string, { properties = {} }: Schema, value: Record<string, unknown>) => {
      t.same(Object.keys(value).sort(), Object.keys(properties).sort(), `the keys of ${path || 'values.yaml'}`)
      // affinity is as in a pod, and empty.
      for (const [name, inner] of Object.entries(properties)) if (inner.properties !== undefined && name !== 'affinity') compare(`${path}${name}.`, inner, value[name] as Record<string, unknown>)
    }
    compare('', schema, parse(text) as Record<string, unknown>)
    const lines = text.split('\n')
    for (const [index, line] of lines.entries()) {
      const [, indent, rest] = /^( *)\w+:(.*)$/.exec(line) ?? []
      // The maps that only hold others need none.
      if (indent === undefined || rest === '' || /^ *(requests|limits):/.test(line)) continue
      t.match(lines[index - 1], new RegExp(`^${indent}# `), `a line about ${line.trim()}`)
    }
  })

  t.test('the notes are those of the configuration', async (t) => {
    const without = /by the label app\.kubernetes\.io\/part-of=dog-walking.+prometheus-scrape\.yml.+prometheus\.values\.yaml/s
    const cases: Array<[name: string, says: RegExp[], not: RegExp[]]> = [
      ['minimal', [without, /get secret walks-dog-walking-metrics/, /alerts are in examples\/prometheus, the dashboards in examples\/grafana/], [/ServiceMonitor/, /prometheus-adapter/, /401/, /Visitors/]],
      ['operator', [/by ServiceMonitor\/walks-dog-walking, which carries release=kube-prometheus-stack\./, /alerts are in PrometheusRules, the dashboards in ConfigMaps/], [/prometheus-scrape/]],
      ['autoscaled', [/3 to 12 pods by http_requests_per_second/, /namespaces\/dogs\/pods\/\*\/http_requests_per_second"/, without], [/ServiceMonitor/]],
      ['existing-secrets', [/get secret dogs-metrics/, without], [/walks-dog-walking-metrics/]],
      ['platform', [/Visitors come by Ingress\/dogs for walks\.example\.com\./, /get secret dogs-metrics/], [/HTTPRoute/]]
    ]
    t.same(cases.map(([name]) => `${name}.yaml`).sort(), valuesFiles.map(({ name }) => name).sort(), 'each file has its case')
    for (const [name, says, not] of cases) {
      const notes = helm.notes('-f', valuesFile(name))
      const service = name === 'platform' ? 'dogs' : 'walks-dog-walking'
      for (const pattern of says) t.match(notes, pattern, name)
      t.match(notes, `kubectl -n dogs port-forward service/${service} 8080:80`)
      for (const pattern of not) t.notMatch(notes, pattern, name)
      t.notMatch(notes, /a password of/, 'no password is shown')
    }
    t.match(helm.notes('-f', valuesFile('minimal'), '--set', 'metrics.annotations.enabled=true'), /answered 401/)
    t.notMatch(helm.notes('-f', valuesFile('minimal')), /live/)
    t.match(helm.notes('-f', valuesFile('minimal'), '--set', 'metrics.live.enabled=true'), /live, at http:\/\/127\.0\.0\.1:8080\/metrics\/live\./)
    t.match(helm.notes(...everything), /Visitors come by HTTPRoute\/dogs for walks\.example\.com\./)
  })

  t.test('the service is probed in its own container, nginx by itself, and whether a pod is ready by both', async (t) => {
    const objects = helm.render('-f', valuesFile('minimal'))
    const app = container(objects, 'app')
    const nginx = container(objects, 'nginx')
    t.same(app['startupProbe'].exec, app['livenessProbe'].exec)
    t.equal(app['readinessProbe'], undefined)
    t.ok(app['startupProbe'].periodSeconds * app['startupProbe'].failureThreshold >= 60, 'a start may take a minute')
    t.same(nginx['livenessProbe'].httpGet, { path: '/nginx-healthz', port: 'http' })
    t.same(nginx['readinessProbe'].httpGet, { path: '/healthz', port: 'http' })
  })
}
