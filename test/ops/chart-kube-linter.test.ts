import t from 'tap'
import { everything, valuesFiles } from '../support/chart.js'
import { findHelm, type KubernetesObject } from '../support/helm.js'
import { checks } from '../support/kube-linter.js'

/* eslint-disable @typescript-eslint/no-explicit-any -- objects are broken on purpose */
interface Objects { readonly all: any[], readonly deployment: any, readonly service: any, readonly budget: any, readonly pod: any, readonly app: any }

/** Breaks what the chart renders. */
type Break = (objects: Objects) => unknown

const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'job' }, spec: { template: { spec: { containers: [] } } } }
const hostPath = (path: string): Break => ({ pod, app }) => {
  pod.volumes.push({ name: 'host', hostPath: { path } })
  app.volumeMounts.push({ name: 'host', mountPath: '/host' })
}

/** For each check of the default set, each way in which a chart would not pass it. */
const breaks: Readonly<Record<string, readonly Break[]>> = {
  'dangling-service': [({ service }) => { service.spec.selector.other = 'x' }, ({ service }) => { service.spec.selector = {} }],
  'deprecated-service-account-field': [({ pod }) => { pod.serviceAccount = 'other' }],
  'docker-sock': [hostPath('/var/run/docker.sock')],
  'drop-net-raw-capability': [({ app }) => { app.securityContext.capabilities = { drop: ['CHOWN'] } }, ({ app }) => { app.securityContext.capabilities.add = ['NET_RAW'] }],
  'duplicate-env-var': [({ app }) => app.env.push(app.env[0])],
  'env-var-secret': [({ app }) => app.env.push({ name: 'MY_SECRET', value: 'x' })],
  'host-ipc': [({ pod }) => { pod.hostIPC = true }],
  'host-network': [({ pod }) => { pod.hostNetwork = true }],
  'host-pid': [({ pod }) => { pod.hostPID = true }],
  'invalid-target-ports': [({ service }) => { service.spec.ports[0].targetPort = 'HTTP' }, ({ service }) => { service.spec.ports[0].targetPort = 70000 }, ({ app }) => { app.ports = [{ name: 'a-name-too-long-for-it', containerPort: 1 }] }],
  'job-ttl-seconds-after-finished': [({ all }) => all.push(job), ({ all }) => all.push({ ...job, kind: 'CronJob', spec: { jobTemplate: { spec: job.spec } } })],
  'latest-tag': [({ app }) => { app.image = 'a/b:latest' }, ({ app }) => { app.image = 'b' }, ({ app }) => { app.image = 'host:5000/b' }],
  'liveness-port': [({ app }) => { app.livenessProbe = { httpGet: { port: 3000 } } }, ({ app }) => { app.livenessProbe = { tcpSocket: { port: 'http' } } }],
  'mismatching-selector': [({ deployment }) => { deployment.spec.selector.matchLabels.other = 'x' }, ({ deployment }) => { delete deployment.spec.selector }],
  'no-anti-affinity': [
    ({ pod }) => { delete pod.affinity },
    ({ pod }) => { pod.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey = 'topology.kubernetes.io/zone' },
    ({ pod }) => { pod.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector.matchLabels = { other: 'x' } }
  ],
  'no-extensions-v1beta': [({ deployment }) => { deployment.apiVersion = 'extensions/v1beta1' }],
  'no-read-only-root-fs': [({ app }) => { app.securityContext.readOnlyRootFilesystem = false }],
  'non-existent-service-account': [({ pod }) => { pod.serviceAccountName = 'nobody' }],
  'pdb-max-unavailable': [({ budget }) => { budget.spec.maxUnavailable = 0 }, ({ budget }) => { budget.spec.maxUnavailable = '0%' }],
  'pdb-min-available': [({ budget }) => { budget.spec.minAvailable = 2 }, ({ budget }) => { budget.spec.minAvailable = '100%' }, ({ budget }) => { budget.spec.minAvailable = '51%' }],
  'pdb-unhealthy-pod-eviction-policy': [({ budget }) => { delete budget.spec.unhealthyPodEvictionPolicy }],
  'privilege-escalation-container': [({ app }) => { app.securityContext.allowPrivilegeEscalation = true }, ({ app }) => { app.securityContext.privileged = true }, ({ app }) => { app.securityContext.capabilities.add = ['SYS_ADMIN'] }],
  'privileged-container': [({ app }) => { app.securityContext.privileged = true }],
  'readiness-port': [({ app }) => { app.readinessProbe = { httpGet: { port: 8080 } } }],
  'run-as-non-root': [({ pod }) => { delete pod.securityContext.runAsNonRoot }, ({ app }) => { app.securityContext.runAsUser = 0 }, ({ app }) => { app.securityContext.runAsGroup = 0 }],
  'sensitive-host-mounts': ['/', '/boot', '/dev', '/etc', '/lib', '/proc', '/sys', '/usr'].map(hostPath),
  'ssh-port': [({ app }) => { app.ports = [{ containerPort: 22 }] }],
  'startup-port': [({ app }) => { app.startupProbe = { grpc: { port: 3000 } } }],
  'unsafe-sysctls': ['kernel.msgmax', 'kernel.sem', 'kernel.shmmax', 'fs.mqueue.msg_max', 'net.ipv4.tcp_syncookies'].map((name) => ({ pod }) => { pod.securityContext.sysctls = [{ name, value: '1' }] }),
  'unset-cpu-requirements': [({ app }) => { delete app.resources.requests.cpu }, ({ app }) => { delete app.resources }],
  'unset-memory-requirements': [({ app }) => { delete app.resources.limits }]
}

const helm = await findHelm(t)
if (helm !== undefined) {
  const cases = [...valuesFiles.map(({ name, file }) => ({ name, objects: helm.render('-f', file) })), { name: 'everything', objects: helm.render(...everything) }]
  const minimal = cases.find(({ name }) => name === 'minimal.yaml')?.objects as KubernetesObject[]

  t.test('the default set of kube-linter has 31 checks, and each has its test', async (t) => {
    t.equal(Object.keys(checks).length, 31)
    t.same(Object.keys(breaks).sort(), Object.keys(checks).sort())
  })

  for (const [check, find] of Object.entries(checks)) {
    t.test(check, async (t) => {
      for (const { name, objects } of cases) t.same(find(objects), [], name)
      for (const [index, change] of (breaks[check] ?? []).entries()) {
        const all = structuredClone(minimal) as any[]
        const one = (kind: string) => all.find((object) => object.kind === kind)
        const deployment = one('Deployment')
        const pod = deployment.spec.template.spec
        change({ all, deployment, service: one('Service'), budget: one('PodDisruptionBudget'), pod, app: pod.containers[0] })
        t.ok(find(all).length > 0, `it finds what is wrong, ${index + 1}`)
      }
    })
  }
}
