import type { KubernetesObject } from './helm.js'

/**
 * The checks that kube-linter has on by default (https://github.com/stackrox/kube-linter, internal/defaultchecks, each with its parameters in
 * pkg/builtinchecks/yamls), for what a chart renders into one namespace. Each gives what it finds.
 */
export type Check = (objects: readonly KubernetesObject[]) => string[]

/* eslint-disable @typescript-eslint/no-explicit-any -- objects of any kind, right or wrong */
type Labels = Readonly<Record<string, string>>
type Pod = Readonly<Record<string, any>>

interface Workload {
  readonly object: KubernetesObject
  readonly labels: Labels
  readonly pod: Pod
  readonly containers: readonly any[]
}

const KINDS = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job', 'CronJob', 'Pod']
const of = (objects: readonly KubernetesObject[], kind: string) => objects.filter((object) => object.kind === kind)

function workloads (objects: readonly KubernetesObject[]): Workload[] {
  return objects.filter(({ kind }) => KINDS.includes(kind)).map((object) => {
    const { metadata = {}, spec: pod = {} } = object.kind === 'Pod' ? object : (object['spec'].jobTemplate?.spec ?? object['spec']).template ?? {}
    return { object, labels: metadata.labels ?? {}, pod, containers: [...pod.initContainers ?? [], ...pod.containers ?? []] }
  })
}

/** A check of each workload that says true where all is well. */
const eachWorkload = (well: (workload: Workload, objects: readonly KubernetesObject[]) => boolean): Check => (objects) =>
  workloads(objects).filter((workload) => !well(workload, objects)).map(({ object }) => object.metadata.name)

/** A check of each container, those of init too, that says true where all is well. */
const eachContainer = (well: (container: any, pod: Pod) => boolean): Check => (objects) =>
  workloads(objects).flatMap(({ pod, containers }) => containers.filter((container) => !well(container, pod)).map(({ name }) => String(name)))

const eachBudget = (well: (spec: any, objects: readonly KubernetesObject[]) => boolean): Check => (objects) =>
  of(objects, 'PodDisruptionBudget').filter(({ spec }) => !well(spec, objects)).map(({ metadata: { name } }) => name)

function selects (selector: { matchLabels?: Labels } | undefined, labels: Labels): boolean {
  const wanted = Object.entries(selector?.matchLabels ?? {})
  return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value)
}

/** What a container's own securityContext says, else its pod's. */
const effective = (name: string, container: any, pod: Pod) => container.securityContext?.[name] ?? pod['securityContext']?.[name]

/** A probe of a container that is no init container asks a port that the container says it has. */
const probePort = (probe: string): Check => (objects) => workloads(objects).flatMap(({ pod }) => (pod['containers'] ?? []) as any[]).filter((container) => {
  const asked = container[probe]?.httpGet?.port ?? container[probe]?.tcpSocket?.port ?? container[probe]?.grpc?.port
  const ports = (container.ports ?? []) as any[]
  return asked !== undefined && !ports.some(({ name, containerPort, protocol = 'TCP' }) => protocol === 'TCP' && (name === asked || containerPort === asked))
}).map(({ name }) => String(name))

/** No volume of the host's whose path matches is mounted. */
const noHostMount = (...paths: RegExp[]): Check => eachWorkload(({ pod, containers }) => {
  const volumes = ((pod['volumes'] ?? []) as any[]).filter(({ hostPath }) => hostPath !== undefined && paths.some((path) => path.test(hostPath.path)))
  return !volumes.some(({ name }) => containers.some(({ volumeMounts = [] }) => volumeMounts.some((mount: any) => mount.name === name)))
})

const portName = (name: string) => name.length <= 15 && /^[a-z0-9-]+$/.test(name) && /[a-z]/.test(name) && !/^-|-$|--/.test(name)
const targetPort = (port: unknown) => typeof port === 'string' ? portName(port) : port === undefined || (Number(port) >= 0 && Number(port) <= 65535)

/** How many pods a Deployment has at least. */
function replicasOf (object: KubernetesObject, objects: readonly KubernetesObject[]): number {
  const autoscaler = of(objects, 'HorizontalPodAutoscaler').find(({ spec }) => spec.scaleTargetRef.name === object.metadata.name)
  return autoscaler?.['spec'].minReplicas ?? object['spec'].replicas ?? 1
}

export const checks: Readonly<Record<string, Check>> = {
  'dangling-service': (objects) => of(objects, 'Service').filter(({ spec }) => spec.type !== 'ExternalName' &&
    !workloads(objects).some(({ labels }) => selects({ matchLabels: spec.selector }, labels))).map(({ metadata: { name } }) => name),
  'deprecated-service-account-field': eachWorkload(({ pod }) => pod['serviceAccount'] === undefined || pod['serviceAccount'] === pod['serviceAccountName']),
  'docker-sock': noHostMount(/docker.sock$/),
  'drop-net-raw-capability': eachContainer(({ securityContext: { capabilities } = {} as any }) => capabilities === undefined ||
    (!(capabilities.add ?? []).some((name: string) => /^(NET_RAW|all)$/i.test(name)) && (capabilities.drop ?? []).some((name: string) => /^(NET_RAW|all)$/i.test(name)))),
  'duplicate-env-var': eachContainer(({ env = [] }) => new Set(env.map(({ name }: any) => name)).size === env.length),
  'env-var-secret': eachContainer(({ env = [] }) => !env.some(({ name, value = '' }: any) => /secret/i.test(name) && value !== '')),
  'host-ipc': eachWorkload(({ pod }) => pod['hostIPC'] !== true),
  'host-network': eachWorkload(({ pod }) => pod['hostNetwork'] !== true),
  'host-pid': eachWorkload(({ pod }) => pod['hostPID'] !== true),
  'invalid-target-ports': (objects) => [
    ...workloads(objects).flatMap(({ containers }) => containers.flatMap(({ ports = [] }) => ports)).filter(({ name }) => name !== undefined && !portName(name)).map(({ name }) => String(name)),
    ...of(objects, 'Service').flatMap(({ spec }) => spec.ports as any[]).filter((port) => !targetPort(port.targetPort)).map((port) => String(port.targetPort))
  ],
  'job-ttl-seconds-after-finished': (objects) => [...of(objects, 'Job').map(({ metadata, spec }) => ({ metadata, spec })), ...of(objects, 'CronJob').map(({ metadata, spec }) => ({ metadata, spec: spec.jobTemplate.spec }))]
    .filter(({ spec }) => spec.ttlSecondsAfterFinished === undefined).map(({ metadata: { name } }) => name),
  'latest-tag': eachContainer(({ image }) => !/:latest$|^[^:]*$|.*\/[^:]+$/.test(image)),
  'liveness-port': probePort('livenessProbe'),
  'mismatching-selector': eachWorkload(({ object: { kind, spec }, labels }) => ['Pod', 'Job', 'CronJob'].includes(kind) || selects(spec.selector, labels)),
  'no-anti-affinity': eachWorkload(({ object, pod, labels }, objects) => {
    const { preferredDuringSchedulingIgnoredDuringExecution: preferred = [], requiredDuringSchedulingIgnoredDuringExecution: required = [] } = pod['affinity']?.podAntiAffinity ?? {}
    const terms = [...preferred.map(({ podAffinityTerm }: any) => podAffinityTerm), ...required] as any[]
    return replicasOf(object, objects) < 2 || terms.some(({ topologyKey, labelSelector, namespaces = [] }) => topologyKey === 'kubernetes.io/hostname' && namespaces.length === 0 && selects(labelSelector, labels))
  }),
  'no-extensions-v1beta': (objects) => objects.filter(({ apiVersion }) => /^extensions\/v1beta/.test(apiVersion)).map(({ kind }) => kind),
  'no-read-only-root-fs': eachContainer(({ securityContext }) => securityContext?.readOnlyRootFilesystem === true),
  'non-existent-service-account': eachWorkload(({ pod }, objects) => {
    const account = pod['serviceAccountName'] ?? pod['serviceAccount'] ?? 'default'
    return account === 'default' || of(objects, 'ServiceAccount').some(({ metadata: { name } }) => name === account)
  }),
  'pdb-max-unavailable': eachBudget(({ maxUnavailable = 1 }) => Number.parseInt(maxUnavailable) > 0),
  'pdb-min-available': eachBudget(({ minAvailable, selector }, objects) => minAvailable === undefined || (minAvailable !== '100%' &&
    workloads(objects).filter(({ labels }) => selects(selector, labels)).every(({ object }) => {
      const replicas = replicasOf(object, objects)
      return (String(minAvailable).endsWith('%') ? Math.ceil(replicas * Number.parseInt(minAvailable) / 100) : minAvailable) < replicas
    }))),
  'pdb-unhealthy-pod-eviction-policy': eachBudget(({ unhealthyPodEvictionPolicy }) => unhealthyPodEvictionPolicy !== undefined),
  'privilege-escalation-container': eachContainer(({ securityContext: { allowPrivilegeEscalation, privileged, capabilities } = {} as any }) =>
    allowPrivilegeEscalation !== true && privileged !== true && !(capabilities?.add ?? []).includes('SYS_ADMIN')),
  'privileged-container': eachContainer(({ securityContext }) => securityContext?.privileged !== true),
  'readiness-port': probePort('readinessProbe'),
  'run-as-non-root': eachContainer((container, pod) => {
    const user = effective('runAsUser', container, pod)
    return effective('runAsGroup', container, pod) !== 0 && (user > 0 || (user === undefined && effective('runAsNonRoot', container, pod) === true))
  }),
  'sensitive-host-mounts': noHostMount(/^\/(boot|dev|etc|lib|proc|sys|usr)?$/),
  'ssh-port': eachContainer(({ ports = [] }) => !ports.some(({ containerPort, protocol = 'TCP' }: any) => containerPort === 22 && protocol === 'TCP')),
  'startup-port': probePort('startupProbe'),
  'unsafe-sysctls': eachWorkload(({ pod }) => !(pod['securityContext']?.sysctls ?? []).some(({ name }: any) => /^(kernel\.msg|kernel\.sem|kernel\.shm|fs\.mqueue\.|net\.)/.test(name))),
  'unset-cpu-requirements': eachContainer(({ resources }) => Number.parseFloat(resources?.requests?.cpu ?? 0) > 0),
  'unset-memory-requirements': eachContainer(({ resources }) => Number.parseFloat(resources?.limits?.memory ?? 0) > 0)
}
