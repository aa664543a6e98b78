import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { container, podTemplate, valuesFile } from '../support/chart.js'
import { chart, findHelm, only, secretValue, type Helm, type KubernetesObject } from '../support/helm.js'

const helm = await findHelm(t)
if (helm !== undefined) await tests(helm)

async function tests (helm: Helm): Promise<void> {
  t.test('what the values say is what is rendered', async (t) => {
    const plain = helm.render('-f', valuesFile('minimal'))
    t.same(plain.map(({ kind }) => kind).sort(), ['ConfigMap', 'Deployment', 'PodDisruptionBudget', 'Secret', 'Secret', 'Service', 'ServiceAccount'])
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
    const { annotations } = podTemplate(plain).metadata
    t.notMatch(JSON.stringify(annotations), /prometheus\.io/, 'a job that follows annotations is not led to a page that it has no password for')
    const annotated = (...options: string[]) => podTemplate(helm.render('-f', valuesFile('minimal'), '--set', 'metrics.annotations.enabled=true', ...options)).metadata.annotations
    t.match(annotated(), { 'prometheus.io/scrape': 'true', 'prometheus.io/path': '/metrics', 'prometheus.io/port': '8080' })
    t.notMatch(JSON.stringify(annotated('--set', 'metrics.serviceMonitor.enabled=true')), /prometheus\.io/, 'not scraped twice')
    const conf = only(plain, 'ConfigMap')['data']['nginx.conf'] as string
    const file = readFileSync(join(chart, 'files/nginx.conf'), 'utf8')
    t.equal(conf, file.replace(/\n *\{\{- if .+?\n *\{\{- end \}\}(?=\n\n)/s, ''), 'nginx.conf without what is asked for by a value')
    t.equal(annotations['checksum/nginx'], createHash('sha256').update(conf).digest('hex'), 'pods roll with nginx.conf')

    t.notMatch(conf, '/live')
    const live = helm.render('-f', valuesFile('minimal'), '--set', 'metrics.live.enabled=true')
    const open = only(live, 'ConfigMap')['data']['nginx.conf'] as string
    const locations = [...open.matchAll(/^ {4}location = (\S+) \{\n(.+?)\n {4}\}$/gms)].map(([, path = '', body = '']) => [path, body.split('\n').map((line) => line.trim()).filter((line) => !line.startsWith('#'))])
    t.match(Object.fromEntries(locations), {
      ...Object.fromEntries(['', '.json', '/page.css', '/page.js'].map((end) => [`/metrics/live${end}`, [`proxy_pass http://service/metrics/live${end};`]])),
      '/metrics/live/events': ['proxy_pass http://service/metrics/live/events;', 'proxy_buffering off;', 'proxy_pass_header X-Accel-Buffering;', 'proxy_read_timeout 1h;']
    })
    t.equal(podTemplate(live).metadata.annotations['checksum/nginx'], createHash('sha256').update(open).digest('hex'), 'pods roll with the value')
    t.notMatch(open, '{{')

    const operator = helm.render('-f', valuesFile('operator'), '--set', 'metrics.serviceMonitor.interval=1m')
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

    const autoscaled = helm.render('-f', valuesFile('autoscaled'))
    t.same(container(autoscaled, 'migrate').args, ['--migrate', '--seed'])
    t.match(only(autoscaled, 'HorizontalPodAutoscaler')['spec'], {
      minReplicas: 3,
      maxReplicas: 12,
      metrics: [{ type: 'Pods', pods: { metric: { name: 'http_requests_per_second' }, target: { type: 'AverageValue', averageValue: '50' } } }],
      behavior: { scaleDown: { stabilizationWindowSeconds: 300 } }
    })

    const existing = helm.render('-f', valuesFile('existing-secrets'))
    t.same(existing.filter(({ kind }) => kind === 'Secret'), [])
    t.equal(container(existing, 'app')['image'], 'registry.example.com/dog-walking:1.4.2')
    t.match(only(existing, 'Deployment')['spec'].template.spec, { imagePullSecrets: [{ name: 'registry' }], nodeSelector: { 'kubernetes.io/arch': 'amd64' } })

    const trusted = helm.render('-f', valuesFile('minimal'), '--set', 'database.password=')
    t.notMatch(JSON.stringify(trusted), /PGPASSWORD|-database"/, 'a database without a password has no Secret')
    const named = parse(helm.run('template', 'dog-walking', chart, '-f', valuesFile('minimal'), '-s', 'templates/service.yaml').stdout) as KubernetesObject
    t.equal(named.metadata.name, 'dog-walking', 'a release of the same name is not said twice')
  })

  t.test('what a platform team says is in the pods', async (t) => {
    const objects = helm.render('-f', valuesFile('platform'))
    const { metadata, spec } = podTemplate(objects)
    const digest = 'registry.example.com/dog-walking@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'
    for (const name of ['app', 'migrate']) {
      const { image, env, volumeMounts } = container(objects, name)
      t.equal(image, digest, 'the digest instead of the tag')
      t.same(env?.slice(-2), [{ name: 'NODE_EXTRA_CA_CERTS', value: '/etc/ca/ca.crt' }, { name: 'NODE_OPTIONS', value: '--max-old-space-size=192' }], name)
      t.same(volumeMounts.slice(-1), [{ name: 'ca', mountPath: '/etc/ca', readOnly: true }], name)
    }
    t.same(container(objects, 'nginx').env, undefined)
    t.same(spec.volumes.slice(-1), [{ name: 'ca', configMap: { name: 'company-ca' } }])
    t.match(metadata.labels, { team: 'dogs' })
    t.match(metadata.annotations, { 'example.com/on-call': 'dogs' })
    t.match(spec, { priorityClassName: 'production', serviceAccountName: 'dogs', tolerations: [{ key: 'dedicated', operator: 'Equal', value: 'web', effect: 'NoSchedule' }] })
    t.same(new Set(objects.filter(({ kind }) => kind !== 'Secret' && kind !== 'ConfigMap').map(({ metadata: { name } }) => name)), new Set(['dogs']))
    t.match(only(objects, 'ServiceAccount'), { metadata: { annotations: { 'eks.amazonaws.com/role-arn': /dogs$/ } }, automountServiceAccountToken: false })
    t.same(only(objects, 'PodDisruptionBudget')['spec'].maxUnavailable, '34%')
    const { podSelector, ...policy } = only(objects, 'NetworkPolicy')['spec']
    t.same(policy, {
      policyTypes: ['Ingress'],
      ingress: [{
        ports: [{ port: 'http' }],
        from: [
          { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'ingress-nginx' } } },
          { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } }, podSelector: { matchLabels: { 'app.kubernetes.io/name': 'prometheus' } } }
        ]
      }]
    })
    t.same(only(helm.render('-f', valuesFile('minimal'), '--set', 'networkPolicy.enabled=true'), 'NetworkPolicy')['spec'].ingress, [{ ports: [{ port: 'http' }] }], 'without from, everybody')
    t.match(only(objects, 'Ingress'), {
      metadata: { annotations: { 'cert-manager.io/cluster-issuer': 'letsencrypt' } },
      spec: { ingressClassName: 'nginx', tls: [{ secretName: 'walks-tls', hosts: ['walks.example.com'] }], rules: [{ host: 'walks.example.com', http: { paths: [{ path: '/', pathType: 'Prefix' }] } }] }
    })
  })

  t.test('an HTTPRoute leads from the gateways to the Service', async (t) => {
    const route = (...options: string[]) => only(helm.render('-f', valuesFile('minimal'), '--set', 'httpRoute.enabled=true,httpRoute.parentRefs[0].name=public', ...options), 'HTTPRoute')
    const rules = [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }], backendRefs: [{ name: 'walks-dog-walking', port: 80 }] }]
    const { apiVersion, metadata, spec } = route()
    t.equal(apiVersion, 'gateway.networking.k8s.io/v1')
    t.notOk(metadata.annotations)
    t.same(spec, { parentRefs: [{ name: 'public' }], rules })
    const full = route('--set', 'httpRoute.parentRefs[0].namespace=gateways,httpRoute.parentRefs[0].sectionName=https,httpRoute.parentRefs[0].port=443,httpRoute.hostnames={a.example.com,*.example.com},httpRoute.annotations.team=dogs')
    t.same(full.metadata.annotations, { team: 'dogs' })
    t.same(full['spec'], { parentRefs: [{ name: 'public', namespace: 'gateways', sectionName: 'https', port: 443 }], hostnames: ['a.example.com', '*.example.com'], rules })
  })

  t.test('pods keep away from each other, unless another way is said', async (t) => {
    const spec = (...options: string[]) => podTemplate(helm.render('-f', valuesFile('minimal'), ...options)).spec
    const away = spec()['affinity']
    t.match(away, { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ podAffinityTerm: { topologyKey: 'kubernetes.io/hostname' } }] } })
    const node = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }] } }
    t.same(spec('--set-json', `affinity.nodeAffinity=${JSON.stringify(node)}`)['affinity'], { ...away, nodeAffinity: node }, 'both')
    t.same(spec('--set-json', 'affinity.podAntiAffinity={}')['affinity'], { podAntiAffinity: {} }, 'none')
    t.match(spec()['topologySpreadConstraints'], [{ topologyKey: 'topology.kubernetes.io/zone', maxSkew: 1, whenUnsatisfiable: 'ScheduleAnyway', matchLabelKeys: ['pod-template-hash'] }])
    t.equal(spec('--set-json', 'topologySpreadConstraints=[]')['topologySpreadConstraints'], undefined)
  })

  t.test('whose account the pods have', async (t) => {
    const cases: Array<[set: string, account: string, made: string[]]> = [
      ['serviceAccount.create=true', 'walks-dog-walking', ['walks-dog-walking']],
      ['serviceAccount.name=dogs', 'dogs', ['dogs']],
      ['serviceAccount.create=false', 'default', []],
      ['serviceAccount.create=false,serviceAccount.name=theirs', 'theirs', []]
    ]
    for (const [set, account, made] of cases) {
      const objects = helm.render('-f', valuesFile('minimal'), '--set', set)
      t.equal(podTemplate(objects).spec['serviceAccountName'], account, set)
      t.same(objects.filter(({ kind }) => kind === 'ServiceAccount').map(({ metadata: { name } }) => name), made, set)
    }
  })

  t.test('a drain ends: one pod may always be taken', async (t) => {
    for (const set of ['replicas=1', 'replicas=2', 'podDisruptionBudget.maxUnavailable=1%']) {
      const { maxUnavailable, minAvailable, unhealthyPodEvictionPolicy } = only(helm.render('-f', valuesFile('minimal'), '--set', set), 'PodDisruptionBudget')['spec']
      t.ok(Number.parseInt(maxUnavailable) >= 1, set)
      t.equal(minAvailable, undefined)
      t.equal(unhealthyPodEvictionPolicy, 'AlwaysAllow')
    }
    t.same(helm.render('-f', valuesFile('minimal'), '--set', 'podDisruptionBudget.enabled=false').filter(({ kind }) => kind === 'PodDisruptionBudget'), [])
  })

  t.test('names', async (t) => {
    const names = (...options: string[]) => [...new Set(helm.render('-f', valuesFile('minimal'), ...options).map(({ metadata: { name } }) => name))].sort()
    const all = (name: string) => [name, `${name}-database`, `${name}-metrics`, `${name}-nginx`]
    t.same(names(), all('walks-dog-walking'))
    t.same(names('--set', 'nameOverride=dogs'), all('walks-dogs'))
    t.same(names('--set', 'nameOverride=walk'), all('walks'), 'a name is not said twice')
    t.same(names('--set', 'nameOverride=dogs,fullnameOverride=all'), all('all'))
    const { metadata } = podTemplate(helm.render('-f', valuesFile('minimal'), '--set', 'nameOverride=dogs'))
    t.match(metadata.labels, { 'app.kubernetes.io/name': 'dogs', 'app.kubernetes.io/part-of': 'dog-walking' }, 'scrape jobs find it all the same')
    for (const name of names('--set', `fullnameOverride=${'x'.repeat(50)}`)) t.ok(name.length <= 63, name)
  })
}
