import * as apps from 'kubernetes-models/apps/v1'
import * as autoscaling from 'kubernetes-models/autoscaling/v2'
import * as core from 'kubernetes-models/v1'
import * as monitoring from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { chart, findHelm, only, secretValue, type Helm, type KubernetesObject } from '../support/helm.js'

const folder = join(chart, '../values')
const files = readdirSync(folder).map((name) => ({ name, file: join(folder, name) }))
const minimal = join(folder, 'minimal.yaml')

type Model = new (data: object) => { validate (): void }
const models = new Map(Object.entries({ v1: core, 'apps/v1': apps, 'autoscaling/v2': autoscaling, 'monitoring.coreos.com/v1': monitoring })) as unknown as Map<string, Record<string, Model>>

/** @throws Error for an object that is not of its kind, or of a kind that nobody here knows */
function validate (object: KubernetesObject): void {
  const Kind = models.get(object.apiVersion)?.[object.kind]
  if (Kind === undefined) throw new Error(`no model of ${object.apiVersion} ${object.kind}`)
  new Kind(object).validate()
}

/* eslint-disable @typescript-eslint/no-explicit-any -- what stands in the objects was validated */
interface Container {
  name: string
  ports?: Array<{ name: string, containerPort: number }>
  env?: any[]
  args?: string[]
  volumeMounts: Array<{ name: string, mountPath: string, subPath?: string }>
  securityContext: object
  [field: string]: any
}
/* eslint-enable @typescript-eslint/no-explicit-any */

/** What no model of a single object can see: that they fit together. */
function fits (t: Test, objects: readonly KubernetesObject[], values: { existing: ReadonlyMap<string, readonly string[]> }): void {
  const deployment = only(objects, 'Deployment')
  const service = only(objects, 'Service')
  const { metadata, spec } = deployment['spec'].template as { metadata: KubernetesObject['metadata'], spec: Record<string, unknown> }
  const containers = spec['containers'] as Container[]
  const all = [...spec['initContainers'] as Container[], ...containers]
  const ports = containers.flatMap(({ ports = [] }) => ports)

  t.same(new Set(objects.map(({ kind, metadata: { name } }) => `${kind}/${name}`)).size, objects.length, 'names are unique')
  for (const { kind, metadata: { labels = {} } } of objects) {
    for (const label of ['name', 'instance', 'version', 'managed-by']) t.ok(labels[`app.kubernetes.io/${label}`], `${kind} has the label ${label}`)
    t.ok(labels['helm.sh/chart'])
  }
  t.match(metadata.labels, deployment['spec'].selector.matchLabels, 'the Deployment selects its pods')
  t.match(metadata.labels, service['spec'].selector, 'the Service selects them')
  for (const { targetPort } of service['spec'].ports) t.ok(ports.some(({ name }) => name === targetPort), `a container has the Service's port ${targetPort}`)

  const monitor = objects.find(({ kind }) => kind === 'ServiceMonitor')
  if (monitor !== undefined) {
    t.match(service.metadata.labels, monitor['spec'].selector.matchLabels, 'the ServiceMonitor selects the Service')
    for (const { port } of monitor['spec'].endpoints) t.ok(service['spec'].ports.some(({ name }: { name: string }) => name === port), `the Service has the ServiceMonitor's port ${port}`)
  }

  const secrets = new Map(values.existing)
  for (const secret of objects.filter(({ kind }) => kind === 'Secret')) secrets.set(secret.metadata.name, Object.keys(secret['data']))
  const wanted = [
    ...all.flatMap(({ env = [] }) => env).flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? []),
    ...(monitor?.['spec'].endpoints ?? []).flatMap(({ basicAuth }: { basicAuth: object }) => Object.values(basicAuth))
  ] as Array<{ name: string, key: string }>
  const volumes = spec['volumes'] as Array<{ name: string, configMap?: { name: string }, secret?: { secretName: string, items: Array<{ key: string }> } }>
  for (const { secret, configMap } of volumes) {
    if (secret !== undefined) wanted.push(...secret.items.map(({ key }) => ({ name: secret.secretName, key })))
    if (configMap !== undefined) t.ok(objects.some(({ kind, metadata: { name } }) => kind === 'ConfigMap' && name === configMap.name), `there is the ConfigMap ${configMap.name}`)
  }
  for (const { name, key } of wanted) t.ok(secrets.get(name)?.includes(key), `the Secret ${name} has the key ${key}`)
  t.same(new Set(wanted.map(({ name }) => name)), new Set(secrets.keys()), 'every Secret is used')

  for (const { name: container, volumeMounts, securityContext, livenessProbe, readinessProbe, startupProbe, resources } of all) {
    for (const { name, subPath } of volumeMounts) {
      const volume = volumes.find((volume) => volume.name === name)
      t.ok(volume, `${container}'s volume ${name} exists`)
      if (volume?.configMap !== undefined) t.ok(only(objects, 'ConfigMap')['data'][subPath as string], `${volume.configMap.name} has ${subPath}`)
    }
    for (const probe of [livenessProbe, readinessProbe, startupProbe].filter((probe) => probe !== undefined)) {
      t.ok(ports.some(({ containerPort }) => containerPort === probe.httpGet.port), `${container} is probed at a port that is there`)
      t.equal(probe.httpGet.path, '/healthz')
    }
    t.same(securityContext, { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }, container)
    t.ok(volumeMounts.some(({ mountPath }) => mountPath === '/tmp'), `${container} may write to /tmp`)
    t.ok(resources.requests.memory && resources.limits.memory, `${container}'s memory is bounded`)
  }
  t.same(spec['securityContext'], { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
  t.equal(spec['automountServiceAccountToken'], false)
  const sleeps = containers.map(({ lifecycle }) => lifecycle.preStop.sleep.seconds as number)
  t.ok(Math.max(...sleeps) + 5 < Number(spec['terminationGracePeriodSeconds']), 'a pod has the time to stop')

  const autoscaler = objects.find(({ kind }) => kind === 'HorizontalPodAutoscaler')
  if (autoscaler !== undefined) {
    t.same(autoscaler['spec'].scaleTargetRef, { apiVersion: deployment.apiVersion, kind: deployment.kind, name: deployment.metadata.name })
    t.notOk('replicas' in deployment['spec'], 'the autoscaler alone says how many pods')
  } else t.equal(deployment['spec'].replicas, 2)
}

const helm = await findHelm(t)
if (helm !== undefined) await tests(helm)

async function tests (helm: Helm): Promise<void> {
  const container = (objects: KubernetesObject[], name: string) => {
    const { containers, initContainers } = only(objects, 'Deployment')['spec'].template.spec as Record<string, Container[]>
    return [...containers ?? [], ...initContainers ?? []].find((container) => container.name === name) as Container
  }

  for (const { name, file } of files) {
    t.test(`with ${name}, what is rendered is valid and fits together`, async (t) => {
      const { status, stdout, stderr } = helm.run('lint', '--strict', chart, '-f', file)
      t.equal(status, 0, stdout + stderr)
      const objects = helm.render('-f', file)
      for (const object of objects) t.doesNotThrow(() => validate(object), `${object.kind} ${object.metadata.name}`)
      fits(t, objects, {
        existing: new Map(name === 'existing-secrets.yaml' ? [['dogs-postgres', ['postgres-password']], ['dogs-metrics', ['username', 'password', 'htpasswd']]] : [])
      })
      t.equal(helm.template('-f', file).stdout, helm.template('-f', file).stdout, 'twice the same: nothing is drawn anew')
      t.match(helm.notes('-f', file), /^NOTES:/)
    })
  }

  t.test('the models refuse what is wrong', async (t) => {
    const [secret] = helm.render('-f', minimal) as [KubernetesObject]
    t.throws(() => validate({ ...secret, data: { a: 1 } }))
    t.throws(() => validate({ ...secret, kind: 'Secreta' }), { message: /no model of v1 Secreta/ })
    const monitor = only(helm.render('-f', join(folder, 'operator.yaml')), 'ServiceMonitor')
    t.throws(() => validate({ ...monitor, spec: { endpoints: [] } }))
  })

  t.test('what the values say is what is rendered', async (t) => {
    const plain = helm.render('-f', minimal)
    t.same(plain.map(({ kind }) => kind).sort(), ['ConfigMap', 'Deployment', 'Secret', 'Secret', 'Service'])
    const secret = only(plain, 'Secret', 'walks-dog-walking-metrics')
    const sha = createHash('sha1').update('a password of the metrics').digest('base64')
    t.same(['username', 'password', 'htpasswd'].map((key) => secretValue(secret, key)), ['prometheus', 'a password of the metrics', `prometheus:{SHA}${sha}\n`])
    t.equal(secretValue(only(plain, 'Secret', 'walks-dog-walking-database'), 'password'), 'a password of the database')
    t.same(container(plain, 'migrate').args, ['--migrate'])
    const app = container(plain, 'app')
    t.same(app.args, ['--serve'])
    t.equal(app['image'], `dog-walking:${parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8')).appVersion}`)
    t.same(app.env?.slice(0, 3), [{ name: 'HOST', value: '127.0.0.1' }, { name: 'PORT', value: '3000' }, { name: 'DATABASE_URL', value: 'postgres://dogs@postgres:5432/dogs' }])
    t.same(app.env?.[3].valueFrom.secretKeyRef, { name: 'walks-dog-walking-database', key: 'password', optional: true })
    t.notOk(app.ports, 'nothing leads to the service but nginx')
    t.ok(app['lifecycle'].preStop.sleep.seconds > container(plain, 'nginx')['lifecycle'].preStop.sleep.seconds, 'nginx stops first')
    const { annotations } = only(plain, 'Deployment')['spec'].template.metadata as KubernetesObject['metadata']
    t.match(annotations, { 'prometheus.io/scrape': 'true', 'prometheus.io/path': '/metrics', 'prometheus.io/port': '8080' })
    const conf = only(plain, 'ConfigMap')['data']['nginx.conf'] as string
    t.equal(conf, readFileSync(join(chart, 'files/nginx.conf'), 'utf8'))
    t.equal(annotations?.['checksum/nginx'], createHash('sha256').update(conf).digest('hex'), 'pods roll with nginx.conf')

    const operator = helm.render('-f', join(folder, 'operator.yaml'), '--set', 'metrics.serviceMonitor.interval=1m')
    t.notMatch(JSON.stringify(only(operator, 'Deployment')), /prometheus\.io/, 'not scraped twice')
    const monitor = only(operator, 'ServiceMonitor')
    t.equal(monitor.metadata.labels?.['release'], 'kube-prometheus-stack')
    t.equal(only(operator, 'Service').metadata.labels?.[monitor['spec'].jobLabel], 'dog-walking', 'the job that the alerts name')
    t.same(monitor['spec'].endpoints, [{
      port: 'http',
      scheme: 'http',
      path: '/metrics',
      interval: '1m',
      scrapeTimeout: '10s',
      basicAuth: { username: { name: 'walks-dog-walking-metrics', key: 'username' }, password: { name: 'walks-dog-walking-metrics', key: 'password' } }
    }])

    const autoscaled = helm.render('-f', join(folder, 'autoscaled.yaml'))
    t.same(container(autoscaled, 'migrate').args, ['--migrate', '--seed'])
    t.match(only(autoscaled, 'HorizontalPodAutoscaler')['spec'], {
      minReplicas: 3,
      maxReplicas: 12,
      metrics: [{ type: 'Pods', pods: { metric: { name: 'http_requests_per_second' }, target: { type: 'AverageValue', averageValue: '50' } } }],
      behavior: { scaleDown: { stabilizationWindowSeconds: 300 } }
    })

    const existing = helm.render('-f', join(folder, 'existing-secrets.yaml'))
    t.same(existing.filter(({ kind }) => kind === 'Secret'), [])
    t.equal(container(existing, 'app')['image'], 'registry.example.com/dog-walking:1.4.2')
    t.match(only(existing, 'Deployment')['spec'].template.spec, { imagePullSecrets: [{ name: 'registry' }], nodeSelector: { 'kubernetes.io/arch': 'amd64' } })
    t.notMatch(JSON.stringify(only(existing, 'Deployment')), /prometheus\.io/)

    const trusted = helm.render('-f', minimal, '--set', 'database.password=')
    t.notMatch(JSON.stringify(trusted), /PGPASSWORD|-database"/, 'a database without a password has no Secret')
    const named = parse(helm.run('template', 'dog-walking', chart, '-f', minimal, '-s', 'templates/service.yaml').stdout) as KubernetesObject
    t.equal(named.metadata.name, 'dog-walking', 'a release of the same name is not said twice')
  })

  t.test('every value has a description, and its line in values.yaml', async (t) => {
    interface Schema { description?: string, properties?: Record<string, Schema>, additionalProperties?: unknown, $ref?: string, default?: unknown, type?: string }
    const schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8')) as Schema & { definitions: Record<string, Schema> }
    const text = readFileSync(join(chart, 'values.yaml'), 'utf8')
    const compare = (path: string, { properties }: Schema, value: Record<string, unknown>) => {
      t.same(Object.keys(value).sort(), Object.keys(properties ?? {}).sort(), `the keys of ${path || 'values.yaml'}`)
      for (const [name, inner] of Object.entries(properties ?? {})) {
        t.ok(inner.description ?? inner.$ref, `${path}${name} has a description`)
        if (inner.properties !== undefined) {
          t.equal(inner.additionalProperties, false, `${path}${name} is closed`)
          compare(`${path}${name}.`, inner, value[name] as Record<string, unknown>)
        }
      }
    }
    t.equal(schema.additionalProperties, false)
    compare('', schema, parse(text))
    const lines = text.split('\n')
    for (const [index, line] of lines.entries()) {
      const [, indent, rest] = /^( *)\w+:(.*)$/.exec(line) ?? []
      // The maps that only hold others need none.
      if (indent === undefined || rest === '' || /^ *(requests|limits):/.test(line)) continue
      t.match(lines[index - 1], new RegExp(`^${indent}# `), `a line about ${line.trim()}`)
    }
  })

  t.test('the notes are those of the configuration', async (t) => {
    const cases: Array<[name: string, says: RegExp[], not: RegExp[]]> = [
      ['minimal.yaml', [/prometheus-scrape\.yml/, /answered 401/, /get secret walks-dog-walking-metrics/], [/ServiceMonitor/, /prometheus-adapter/]],
      ['operator.yaml', [/by ServiceMonitor\/walks-dog-walking, which carries release=kube-prometheus-stack\./], [/prometheus-scrape/, /does not find/]],
      ['autoscaled.yaml', [/3 to 12 pods by http_requests_per_second/, /namespaces\/dogs\/pods\/\*\/http_requests_per_second"/, /prometheus-scrape\.yml/], [/ServiceMonitor/]],
      ['existing-secrets.yaml', [/get secret dogs-metrics/, /does not find it: metrics\.serviceMonitor\.enabled and metrics\.annotations\.enabled are both false/], [/walks-dog-walking-metrics/, /prometheus-scrape/]]
    ]
    t.same(cases.map(([name]) => name).sort(), files.map(({ name }) => name).sort(), 'each file has its case')
    for (const [name, says, not] of cases) {
      const notes = helm.notes('-f', join(folder, name))
      for (const pattern of [...says, /kubectl -n dogs port-forward service\/walks-dog-walking 8080:80/, /examples\/grafana/]) t.match(notes, pattern, name)
      for (const pattern of not) t.notMatch(notes, pattern, name)
      t.notMatch(notes, /a password of/, 'no password is shown')
    }
  })

  t.test('what is wrong or unknown is refused by its name', async (t) => {
    const cases: Array<[sets: string[], says: RegExp]> = [
      [['--set', 'replica=3'], /at '': additional properties 'replica' not allowed/],
      [['--set', 'metrics.auth.pasword=x'], /at '\/metrics\/auth': additional properties 'pasword' not allowed/],
      [['--set', 'resources.request.cpu=1'], /at '\/resources': additional properties 'request' not allowed/],
      [['--set', 'replicas=two'], /at '\/replicas': got string, want integer/],
      [['--set', 'replicas=-1'], /at '\/replicas': minimum/],
      [['--set', 'seed=yes'], /at '\/seed': got string, want boolean/],
      [['--set', 'image.pullPolicy=Sometimes'], /at '\/image\/pullPolicy': value must be one of/],
      [['--set', 'image.tag=a b'], /at '\/image\/tag': 'a b' does not match pattern/],
      [['--set', 'image.repository='], /at '\/image\/repository': minLength/],
      [['--set', 'imagePullSecrets[0]=registry'], /at '\/imagePullSecrets\/0': got string, want object/],
      [['--set', 'database.url=mysql://dogs@db/dogs'], /at '\/database\/url': .+ does not match pattern/],
      [['--set', 'database.url='], /at '\/database\/url': '' does not match pattern/],
      [['--set', 'database.key=a/b'], /at '\/database\/key': 'a\/b' does not match pattern/],
      [['--set', 'database.existingSecret=Not_A_Name'], /at '\/database\/existingSecret'/],
      [['--set', 'metrics.auth.username=a:b'], /at '\/metrics\/auth\/username': 'a:b' does not match pattern/],
      [['--set-json', 'metrics.auth.password="one\\ntwo"'], /at '\/metrics\/auth\/password': .+ does not match pattern/],
      [['--set-json', 'metrics.auth.password=" x"'], /at '\/metrics\/auth\/password': .+ does not match pattern/],
      [['--set', 'metrics.auth.password=12345'], /at '\/metrics\/auth\/password': got number, want string/],
      [['--set', 'metrics.annotations.enabled=maybe'], /at '\/metrics\/annotations\/enabled': got string, want boolean/],
      [['--set', 'metrics.serviceMonitor.interval=15'], /at '\/metrics\/serviceMonitor\/interval': got number, want string/],
      [['--set', 'metrics.serviceMonitor.scrapeTimeout=fast'], /at '\/metrics\/serviceMonitor\/scrapeTimeout': 'fast' does not match pattern/],
      [['--set', 'metrics.serviceMonitor.labels.a=1'], /at '\/metrics\/serviceMonitor\/labels\/a': got number, want string/],
      [['--set', 'autoscaling.requestsPerSecond=0'], /at '\/autoscaling\/requestsPerSecond': minimum/],
      [['--set', 'autoscaling.scaleDownSeconds=7200'], /at '\/autoscaling\/scaleDownSeconds': maximum/],
      [['--set', 'autoscaling.minReplicas=20'], /autoscaling\.minReplicas is 20, more than autoscaling\.maxReplicas, 10/],
      [['--set', 'nginx.image='], /at '\/nginx\/image': minLength/],
      [['--set', 'metrics.auth.password='], /metrics\.auth has no password; give metrics\.auth\.password, or the name of a Secret .+ as metrics\.auth\.existingSecret/],
      [['--set', 'metrics.auth.existingSecret=a'], /metrics\.auth\.password and metrics\.auth\.existingSecret exclude each other/],
      [['--set', 'database.existingSecret=a'], /database\.password and database\.existingSecret exclude each other/],
      [['--set', 'database.url=postgres://dogs:bone@db/dogs'], /database\.url has a password in it.+ give database\.password or database\.existingSecret/],
      [['--set', 'database.url=postgres://dogs@db/dogs?password=bone'], /database\.url has a password in it/]
    ]
    for (const [sets, says] of cases) {
      const { status, stdout, stderr } = helm.template('-f', minimal, ...sets)
      t.equal(status, 1, sets.join(' '))
      t.equal(stdout, '')
      t.match(stderr, says)
      t.notMatch(stderr, /bone/, 'no password of the database is shown')
    }
    for (const url of ['postgres://dogs@db/dogs', 'postgresql://db:5432/a@b', 'postgres://dogs@db:5432/dogs?options=-c%20a=b:c@d']) {
      t.equal(helm.template('-f', minimal, '--set', `database.url=${url}`).status, 0, `${url} has no password`)
    }
  })
}
