import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { podTemplate } from '../support/chart.js'
import { chart, findHelm, only } from '../support/helm.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const own = { database: { url: 'postgres://dogs@postgres:5432/dogs' }, metrics: { auth: { password: 'a password of the metrics' } } }
const key = 'dog-walking'

/** A chart that has ours as its dependency, and its values. */
async function parent (t: Test, values: object, dependencies: readonly object[] = [{}]): Promise<string> {
  const folder = await temporaryFolder(t, 'parent')
  await mkdir(join(folder, 'charts'))
  await symlink(chart, join(folder, 'charts/dog-walking'))
  await writeFile(join(folder, 'Chart.yaml'), stringify({
    apiVersion: 'v2', name: 'company', version: '1.0.0', dependencies: dependencies.map((more) => ({ name: 'dog-walking', version: '0.1.0', repository: `file://${chart}`, ...more }))
  }))
  await writeFile(join(folder, 'values.yaml'), stringify(values))
  return folder
}

const helm = await findHelm(t)
if (helm !== undefined) {
  t.test('a parent chart may give all its charts whatever it likes', async (t) => {
    for (const global of [{}, { imageRegistry: 'registry.example.com', storageClass: '' }, { a: [1, { b: null }], c: { d: true } }]) {
      const objects = helm.renderChart(await parent(t, { global, [key]: own }))
      t.equal(only(objects, 'Deployment').metadata.name, 'walks-dog-walking')
    }
  })

  t.test('what is unknown is refused all the same, with the chart that it is for', async (t) => {
    const refused = async (values: object) => helm.run('template', 'walks', await parent(t, values)).stderr
    t.match(await refused({ global: { a: 1 }, [key]: { ...own, replica: 3 } }), /dog-walking:\s+- at '': additional properties 'replica' not allowed/)
    t.match(await refused({ [key]: { ...own, image: { tags: 'x' } } }), /dog-walking:\s+- at '\/image': additional properties 'tags' not allowed/)
    t.match(await refused({ [key]: { ...own, database: {} } }), /dog-walking:\s+- at '\/database\/url': '' does not match pattern/)
  })

  t.test("a parent's condition switches it on and off", async (t) => {
    const condition = { condition: `${key}.enabled` }
    t.equal(only(helm.renderChart(await parent(t, { [key]: { ...own, enabled: true } }, [condition])), 'Deployment').metadata.name, 'walks-dog-walking')
    t.same(helm.renderChart(await parent(t, { [key]: { enabled: false } }, [condition])), [])
  })

  t.test('twice in one parent, by aliases, the pods are told apart and found by the same job', async (t) => {
    const folder = await parent(t, { parks: own, beaches: own }, [{ alias: 'parks' }, { alias: 'beaches' }])
    const objects = helm.renderChart(folder)
    const names = objects.map(({ kind, metadata: { name } }) => `${kind}/${name}`)
    t.equal(new Set(names).size, names.length, 'names are unique')
    const of = (name: string) => objects.filter(({ metadata }) => metadata.name.startsWith(`walks-${name}`))
    const [parks, beaches] = [of('parks'), of('beaches')]
    t.notMatch(podTemplate(beaches).metadata.labels, only(parks, 'Service')['spec'].selector, 'a Service does not select the pods of the other')
    for (const each of [parks, beaches]) t.equal(podTemplate(each).metadata.labels['app.kubernetes.io/part-of'], 'dog-walking')
  })

  t.test('Helm builds the dependency from its folder', async (t) => {
    const folder = await temporaryFolder(t, 'built')
    await writeFile(join(folder, 'Chart.yaml'), stringify({ apiVersion: 'v2', name: 'company', version: '1.0.0', dependencies: [{ name: 'dog-walking', version: '>=0.1.0', repository: `file://${chart}` }] }))
    await writeFile(join(folder, 'values.yaml'), stringify({ [key]: { ...own, metrics: { ...own.metrics, dashboards: { enabled: true } } } }))
    const { status, stderr } = helm.run('dependency', 'update', folder)
    t.equal(status, 0, stderr)
    const objects = helm.renderChart(folder)
    t.equal(only(objects, 'Deployment').metadata.name, 'walks-dog-walking')
    t.ok(objects.filter(({ kind }) => kind === 'ConfigMap').length > 5, 'the packaged chart has its files')
  })
}
