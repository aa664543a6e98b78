import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { validate, valuesFile } from '../support/chart.js'
import { Guide } from '../support/guide.js'
import { findHelm, only, type Helm, type KubernetesObject } from '../support/helm.js'
import { promtool } from '../support/promtool.js'
import { temporaryFolder } from '../support/temporary-folder.js'

/*
 * A Prometheus without the operator: prometheus.values.yaml for the chart prometheus-community/prometheus, prometheus-rbac.yaml, and README.md's commands for them.
 * The chart itself is not here; what it makes of these values was seen with its version 29.27.0.
 */
const root = fileURLToPath(new URL('../..', import.meta.url))
const examples = join(root, 'examples/kubernetes')
const readme = new Guide(join(examples, 'README.md'))

interface Values {
  readonly server: { readonly extraSecretMounts: ReadonlyArray<{ name: string, secretName: string, mountPath: string, readOnly: boolean }> }
  readonly serverFiles: { readonly 'prometheus.yml': { readonly rule_files: readonly string[] } }
  readonly extraScrapeConfigs: string
  readonly ruleFiles: Readonly<Record<string, string>>
}

type Job = Readonly<Record<string, unknown>> & { readonly job_name: string, readonly basic_auth: { readonly username: string, readonly password_file: string } }

/** The command of README.md that begins so, in one line. @param mark what else it has */
function command (start: string, mark = ''): string {
  const lines = readme.text.replaceAll('\\\n', ' ').split('\n').map((line) => line.trim().replace(/\s+/g, ' '))
  const found = lines.filter((line) => line.startsWith(start) && line.includes(mark))
  if (found.length !== 1) throw new Error(`README.md has ${found.length} commands '${start}' with '${mark}'`)
  return found[0] as string
}

/** The words of a command, as a shell reads them. */
function words (command: string): string[] {
  return execFileSync('sh', ['-c', `printf '%s\\0' ${command}`], { cwd: root, encoding: 'utf8' }).split('\0').slice(0, -1)
}

/** What Helm makes of the values of a command: a chart whose only template shows them. */
async function valuesOf (t: Test, helm: Helm, command: string): Promise<Values> {
  const folder = await temporaryFolder(t, 'values')
  await mkdir(join(folder, 'templates'))
  await writeFile(join(folder, 'Chart.yaml'), 'apiVersion: v2\nname: values\nversion: 1.0.0\n')
  await writeFile(join(folder, 'templates/values.yaml'), '{{ toJson .Values }}\n')
  const options = words(command)
  const args = options.slice(options.findIndex((word) => word.startsWith('-') && word !== '--install'))
    .map((word, index, all) => all[index - 1] === '-f' ? join(root, word) : word.replace(/=examples\//, `=${root}examples/`))
  const { status, stdout, stderr } = helm.run('template', 'prometheus', folder, ...args.filter((word) => word !== '--create-namespace'))
  t.equal(status, 0, stderr)
  return parse(stdout) as Values
}

const scrape = parse(await readFile(join(examples, 'prometheus-scrape.yml'), 'utf8')) as { scrape_configs: Job[], rule_files: string[] }
const helm = await findHelm(t)

if (helm !== undefined) {
  t.test('the values for the chart of the Prometheus community scrape as prometheus-scrape.yml does, and have its rules', async (t) => {
    const values = await valuesOf(t, helm, command('helm upgrade --install prometheus'))
    const jobs = parse(values.extraScrapeConfigs) as Job[]
    t.same(jobs, scrape.scrape_configs)
    t.notMatch(values.extraScrapeConfigs, '{{', 'the chart takes it for a template')
    const [mount, ...others] = values.server.extraSecretMounts
    t.same(others, [])
    t.equal(`${mount?.mountPath}/password`, jobs[0]?.basic_auth.password_file, 'the password is where the job looks')
    t.equal(mount?.readOnly, true)
    t.notOk('subPath' in (mount as object), 'a new password comes in')
    t.match(command('kubectl -n dogs get secret', 'create secret'), `kubectl -n monitoring create secret generic ${mount?.secretName} --from-file=password=/dev/stdin`)

    const { 'prometheus.yml': { rule_files: patterns } } = values.serverFiles
    const folder = await temporaryFolder(t, 'config')
    const files = Object.entries(values.ruleFiles)
    const wanted = (await readdir(join(root, 'examples/prometheus'))).filter((name) => /\.(rules|alerts)\.yml$/.test(name) && name !== 'django-compat.rules.yml')
    t.same(files.map(([name]) => name).sort(), wanted.sort(), 'all of this service')
    for (const [name, text] of files) {
      t.equal(text, await readFile(join(root, 'examples/prometheus', name), 'utf8'), name)
      await writeFile(join(folder, name), text)
    }
    // The promtool of Debian knows no Kubernetes.
    const [{ kubernetes_sd_configs: roles, ...job }] = jobs as [Job]
    t.same(roles, [{ role: 'endpointslice' }])
    await writeFile(join(folder, 'password'), 'x')
    const config = {
      scrape_configs: [{ ...job, basic_auth: { ...job.basic_auth, password_file: join(folder, 'password') } }],
      rule_files: patterns.filter((pattern) => pattern.includes('*')).map((pattern) => pattern.replace('/etc/config', folder))
    }
    await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config))
    const check = promtool(t, ['check', 'config', join(folder, 'prometheus.yml')])
    if (check === undefined) return
    t.equal(check.status, 0, check.output)
    t.match(check.output, `${files.length} rule files found`, 'each of them')
  })

  t.test("the job's password and name are those of the chart", async (t) => {
    const secret = only(helm.render('-f', valuesFile('minimal')), 'Secret', 'walks-dog-walking-metrics')
    const [job] = scrape.scrape_configs
    t.equal(Buffer.from(secret['data'].username, 'base64').toString(), job?.basic_auth.username)
    t.equal(job?.job_name, 'dog-walking', 'the job that the alerts name')
    const copy = command('kubectl -n dogs get secret', 'create secret')
    t.match(copy, `get secret ${secret.metadata.name} `)
    t.ok(secret['data'][/\{\.data\.(\w+)\}/.exec(copy)?.[1] as string], 'the key that the command reads is there')
  })

  t.test('the commands for the chart render', async (t) => {
    const folder = await temporaryFolder(t, 'passwords')
    for (const name of ['database-password', 'metrics-password']) await writeFile(join(folder, name), 'a password')
    const kinds = (start: string, mark: string, ...more: string[]) => {
      const said = words(command(start, mark))
      const args = said.slice(said.indexOf('walks')).filter((word) => !['--create-namespace', '--reset-then-reuse-values'].includes(word))
        .map((word) => word.replace(/^examples\//, `${root}examples/`).replace(/=(\w+-password)$/, `=${folder}/$1`))
      const { status, stdout, stderr } = helm.run('template', ...args, ...more)
      t.equal(status, 0, stderr)
      return new Set([...stdout.matchAll(/^kind: (\w+)$/gm)].map(([, kind]) => kind))
    }
    t.ok(kinds('helm install walks', '').has('Deployment'))
    const added = kinds('helm upgrade walks', 'metrics.serviceMonitor.enabled=true', '-f', valuesFile('minimal'))
    for (const kind of ['ServiceMonitor', 'PrometheusRule', 'ConfigMap']) t.ok(added.has(kind), kind)
    t.ok(kinds('helm upgrade walks', 'metrics.live.enabled=true', '-f', valuesFile('minimal')).has('Deployment'))
  })
}

t.test('the rights are what the discovery of endpoint slices asks for, and no more', async (t) => {
  const documents = parseAllDocuments(await readFile(join(examples, 'prometheus-rbac.yaml'), 'utf8'))
  const objects = documents.map((document) => document.toJS() as KubernetesObject)
  for (const object of objects) t.doesNotThrow(() => validate(object), object.kind)
  const verbs = ['get', 'list', 'watch']
  t.same(only(objects, 'ClusterRole')['rules'], [
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs },
    { apiGroups: [''], resources: ['services', 'pods'], verbs }
  ])
  const { roleRef, subjects } = only(objects, 'ClusterRoleBinding')
  t.same(roleRef, { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: only(objects, 'ClusterRole').metadata.name })
  const { kind, metadata } = only(objects, 'ServiceAccount')
  t.same(subjects, [{ kind, ...metadata }])
})

t.test('what README.md names is there', async (t) => {
  const names = [...readme.text.matchAll(/`(?:examples\/kubernetes\/)?([\w./-]+\.(?:ya?ml|conf|js))`/g)].map(([, name = '']) => name)
  t.ok(names.length > 5)
  for (const name of names) t.ok(['', 'dog-walking', 'values', '../prometheus'].some((folder) => existsSync(join(examples, folder, name))), name)
})
