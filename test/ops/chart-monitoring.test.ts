import { spawnSync } from 'node:child_process'
import { appendFile, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { valuesFile } from '../support/chart.js'
import { findHelm, type KubernetesObject } from '../support/helm.js'
import { promtool } from '../support/promtool.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const examples = fileURLToPath(new URL('../../examples', import.meta.url))
const MIB = 1024 * 1024

/** The rules and alerts that are for this service: django-compat is for dashboards from elsewhere. */
const ruleFiles = (await readdir(join(examples, 'prometheus'))).filter((name) => /\.(rules|alerts)\.yml$/.test(name) && name !== 'django-compat.rules.yml').sort()
const dashboards = (await readdir(join(examples, 'grafana/dashboards'))).filter((name) => name.endsWith('.json')).sort()

const helm = await findHelm(t)
if (helm !== undefined) {
  const render = (...options: string[]) => helm.render('-f', valuesFile('minimal'), ...options)
  const named = (objects: readonly KubernetesObject[], kind: string) => objects.filter((object) => object.kind === kind)

  t.test('a PrometheusRule has the groups of each file, as they are there', async (t) => {
    const folder = await temporaryFolder(t, 'rules')
    const rules = named(render('--set', 'metrics.prometheusRule.enabled=true,metrics.prometheusRule.labels.release=prom'), 'PrometheusRule')
    t.same(rules.map(({ metadata: { name } }) => name), ruleFiles.map((name) => `walks-dog-walking-${name.replace(/\.yml$/, '').replace('.', '-')}`))
    for (const [index, name] of ruleFiles.entries()) {
      const { metadata, spec } = rules[index] as KubernetesObject
      t.same(spec, parse(await readFile(join(examples, 'prometheus', name), 'utf8')), name)
      t.equal(metadata.labels?.['release'], 'prom')
      const file = join(folder, name)
      await writeFile(file, JSON.stringify(spec))
      const check = promtool(t, ['check', 'rules', file])
      if (check !== undefined) t.equal(check.status, 0, check.output)
    }
    const text = JSON.stringify(rules)
    t.match(text, /\{\{ ?\$labels\./, "Prometheus' own templates are left to it")
    const groups = rules.flatMap(({ spec }) => (spec.groups as Array<{ name: string }>).map(({ name }) => name))
    t.equal(new Set(groups).size, groups.length)
    t.same(named(render(), 'PrometheusRule'), [], 'not unless it is asked for')
  })

  t.test('each dashboard is a ConfigMap that the sidecar of Grafana finds', async (t) => {
    const maps = named(render('--set', 'metrics.dashboards.enabled=true,metrics.dashboards.annotations.grafana_folder=Dogs'), 'ConfigMap').filter(({ data }) => data['nginx.conf'] === undefined)
    t.same(maps.map(({ data }) => Object.keys(data)), dashboards.map((name) => [name]))
    for (const [index, name] of dashboards.entries()) {
      const { metadata, data } = maps[index] as KubernetesObject
      t.equal(data[name], await readFile(join(examples, 'grafana/dashboards', name), 'utf8'), name)
      t.ok(Buffer.byteLength(data[name]) < MIB / 2, `${name} has room in a ConfigMap`)
      t.equal(metadata.labels?.['grafana_dashboard'], '1')
      t.same(metadata.annotations, { grafana_folder: 'Dogs' })
    }
    const others = named(render('--set', 'metrics.dashboards.enabled=true', '--set-json', 'metrics.dashboards.labels={"grafana_dashboard":null,"theirs":"yes"}'), 'ConfigMap')
    t.notMatch(JSON.stringify(others), /grafana_dashboard"/, 'the label is the one that is said')
    t.match(JSON.stringify(others), /"theirs":"yes"/)
  })
}

t.test('npm run chart copies what is there, and --check tells what differs', async (t) => {
  const copy = async (t: Test) => {
    const folder = await temporaryFolder(t, 'examples')
    for (const name of ['prometheus', 'grafana/dashboards', 'kubernetes']) await cp(join(examples, name), join(folder, 'examples', name), { recursive: true })
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    const run = (...args: string[]) => spawnSync(process.execPath, [join(folder, 'examples/kubernetes/files.js'), ...args], { cwd: folder, encoding: 'utf8' })
    return { folder: join(folder, 'examples'), files: join(folder, 'examples/kubernetes/dog-walking/files'), run }
  }
  const { folder, files, run } = await copy(t)
  const [rule = '', dashboard = ''] = [ruleFiles[0], dashboards[0]]
  const cases: Array<[what: string, change: () => Promise<unknown>, path: string]> = [
    ['a rule that was changed', () => appendFile(join(folder, 'prometheus', rule), '# changed\n'), `rules/${rule}`],
    ['a dashboard that was changed', () => appendFile(join(folder, 'grafana/dashboards', dashboard), '\n'), `dashboards/${dashboard}`],
    ['a file that is new', () => writeFile(join(folder, 'prometheus/new.alerts.yml'), 'groups: []\n'), 'rules/new.alerts.yml'],
    ['a file that is gone', () => rm(join(folder, 'prometheus/new.alerts.yml')), 'rules/new.alerts.yml'],
    ['a file of nobody', () => writeFile(join(files, 'dashboards/mine.json'), '{}'), 'dashboards/mine.json'],
    ['no file at all', () => rm(join(files, 'rules'), { recursive: true }), `rules/${rule}`]
  ]
  t.match(run('--check'), { status: 0, stderr: '' }, 'the chart of the repository is as it should be')
  for (const [what, change, path] of cases) {
    await change()
    const before = await readdir(files, { recursive: true })
    const { status, stderr } = run('--check')
    t.equal(status, 1, what)
    t.match(stderr, `examples/kubernetes/dog-walking/files/${path} is not what examples/prometheus and examples/grafana have; npm run chart copies it`, what)
    t.same(await readdir(files, { recursive: true }), before, 'nothing was written')
    t.equal(run().status, 0)
    t.match(run('--check'), { status: 0, stderr: '' }, `${what}, copied`)
  }
  await mkdir(join(folder, 'nothing'))
  t.equal(run('--chek').status, 1, 'an unknown option')
})
