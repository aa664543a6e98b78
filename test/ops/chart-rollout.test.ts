import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { podTemplate, valuesFile, valuesFiles } from '../support/chart.js'
import { chart, findHelm } from '../support/helm.js'
import { temporaryFolder } from '../support/temporary-folder.js'

/** A copy of the chart with something else in Chart.yaml. */
async function changed (t: Test, pattern: RegExp, text: string): Promise<string> {
  const folder = join(await temporaryFolder(t, 'chart'), 'dog-walking')
  await cp(chart, folder, { recursive: true })
  const file = join(folder, 'Chart.yaml')
  const before = await readFile(file, 'utf8')
  const after = before.replace(pattern, text)
  if (after === before) throw new Error(`Chart.yaml has nothing like ${pattern}`)
  await writeFile(file, after)
  return folder
}

const helm = await findHelm(t)
if (helm !== undefined) {
  const pods = (...options: string[]) => JSON.stringify(podTemplate(helm.render('-f', valuesFile('minimal'), ...options)))
  const with_ = (name: string, value: string) => pods('--set-json', `${name}=${JSON.stringify(value)}`)

  t.test("a chart's new version alone leaves the pods as they are", async (t) => {
    const newer = await changed(t, /^version: .*$/m, 'version: 7.8.9+build.1')
    for (const { name, file } of valuesFiles) {
      const [old, fresh] = [chart, newer].map((folder) => helm.renderChart(folder, '-f', file))
      t.equal(JSON.stringify(podTemplate(fresh ?? [])), JSON.stringify(podTemplate(old ?? [])), name)
      t.not(JSON.stringify(fresh), JSON.stringify(old), 'the objects have the new version')
    }
  })

  t.test('another version of the service rolls them', async (t) => {
    const newer = await changed(t, /^appVersion: .*$/m, 'appVersion: "7.8.9"')
    t.not(JSON.stringify(podTemplate(helm.renderChart(newer, '-f', valuesFile('minimal')))), pods())
    t.not(with_('image.tag', '7.8.9'), pods())
  })

  t.test('a changed secret rolls them, one that is the same does not', async (t) => {
    t.equal(pods(), pods())
    const passwords = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }).filter((text) => /^[^\s\p{C}]([^\p{C}]*[^\s\p{C}])?$/u.test(text))
    fc.assert(fc.property(fc.constantFrom('database.password', 'metrics.auth.password'), passwords, passwords, (name, one, other) => {
      return (with_(name, one) === with_(name, other)) === (one === other)
    }), { numRuns: 10 })
    t.not(with_('metrics.auth.username', 'somebody'), pods())
    const swapped = pods('--set', 'database.password=a,metrics.auth.password=b')
    t.not(pods('--set', 'database.password=b,metrics.auth.password=a'), swapped)
  })

  t.test('what stands in the pods tells no two releases with the same password', async (t) => {
    const checksum = (release: string, namespace: string) => {
      const { stdout } = helm.run('template', release, chart, '--namespace', namespace, '-f', valuesFile('minimal'), '-s', 'templates/deployment.yaml')
      return /checksum\/secrets: ([0-9a-f]{64})$/m.exec(stdout)?.[1]
    }
    const all = [checksum('walks', 'dogs'), checksum('walks', 'cats'), checksum('runs', 'dogs')]
    t.equal(new Set(all).size, 3)
    t.notOk(all.includes(undefined))
    t.notMatch(pods(), /a password of/)
  })
}
