import * as apps from 'kubernetes-models/apps/v1'
import * as autoscaling from 'kubernetes-models/autoscaling/v2'
import * as core from 'kubernetes-models/v1'
import * as networking from 'kubernetes-models/networking.k8s.io/v1'
import * as policy from 'kubernetes-models/policy/v1'
import * as rbac from 'kubernetes-models/rbac.authorization.k8s.io/v1'
import * as monitoring from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { chart, only, type KubernetesObject } from './helm.js'

const folder = join(chart, '../values')
/** The files of values that the chart comes with. */
export const valuesFiles: ReadonlyArray<{ name: string, file: string }> = readdirSync(folder).map((name) => ({ name, file: join(folder, name) }))
/** @param name such as 'minimal' */
export const valuesFile = (name: string): string => join(folder, `${name}.yaml`)

/** Options of Helm that switch on all that the chart has. */
export const everything = [
  ...['platform', 'operator', 'autoscaled'].flatMap((name) => ['-f', valuesFile(name)]),
  '--set', 'metrics.live.enabled=true,httpRoute.enabled=true,httpRoute.parentRefs[0].name=public,httpRoute.hostnames[0]=walks.example.com'
]

type Model = new (data: object) => { validate (): void }
const models = new Map(Object.entries({
  v1: core,
  'apps/v1': apps,
  'autoscaling/v2': autoscaling,
  'networking.k8s.io/v1': networking,
  'policy/v1': policy,
  'rbac.authorization.k8s.io/v1': rbac,
  'monitoring.coreos.com/v1': monitoring
})) as unknown as Map<string, Record<string, Model>>

/** @throws Error for an object that is not of its kind, or of a kind that nobody here knows */
export function validate (object: KubernetesObject): void {
  const Kind = models.get(object.apiVersion)?.[object.kind]
  if (Kind === undefined) throw new Error(`no model of ${object.apiVersion} ${object.kind}`)
  new Kind(object).validate()
}

/* eslint-disable @typescript-eslint/no-explicit-any -- what stands in the objects was validated */
export interface Container {
  readonly name: string
  readonly image: string
  readonly ports?: ReadonlyArray<{ name: string, containerPort: number }>
  readonly env?: readonly any[]
  readonly args?: readonly string[]
  readonly volumeMounts: ReadonlyArray<{ name: string, mountPath: string, subPath?: string }>
  readonly securityContext: any
  readonly [field: string]: any
}

/** What a Deployment makes pods of. */
export interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>>, readonly annotations: Readonly<Record<string, string>> }
  readonly spec: {
    readonly containers: readonly Container[]
    readonly initContainers: readonly Container[]
    readonly volumes: ReadonlyArray<{ name: string, configMap?: { name: string }, secret?: { secretName: string, items: Array<{ key: string }> }, [source: string]: any }>
    readonly [field: string]: any
  }
}
/* eslint-enable @typescript-eslint/no-explicit-any */

/** What the one Deployment makes pods of. */
export function podTemplate (objects: readonly KubernetesObject[]): PodTemplate {
  return only(objects, 'Deployment')['spec'].template as PodTemplate
}

/** A container of the one Deployment. @throws Error where there is none of that name */
export function container (objects: readonly KubernetesObject[], name: string): Container {
  const { containers, initContainers } = podTemplate(objects).spec
  const found = [...containers, ...initContainers].find((container) => container.name === name)
  if (found === undefined) throw new Error(`there is no container ${name}`)
  return found
}
