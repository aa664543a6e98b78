// Copies the rules and dashboards into the chart: Helm reads no files outside it. With --check nothing is written, and what differs is told.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values: { check } } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
const examples = fileURLToPath(new URL('../', import.meta.url))
const files = join(examples, 'kubernetes/dog-walking/files')
// django-compat is for dashboards that somebody has from django-prometheus.
const isRules = (name) => /\.(rules|alerts)\.yml$/.test(name) && name !== 'django-compat.rules.yml'

await copy(join(examples, 'prometheus'), join(files, 'rules'), isRules)
await copy(join(examples, 'grafana/dashboards'), join(files, 'dashboards'), (name) => name.endsWith('.json'))

async function copy (from, to, wanted) {
  if (!check) await mkdir(to, { recursive: true })
  const names = (await readdir(from)).filter(wanted)
  const gone = (await readdir(to).catch(() => [])).filter((name) => !names.includes(name))
  for (const path of gone.map((name) => join(to, name))) check ? differs(path) : await rm(path)
  for (const path of names.map((name) => join(to, name))) {
    const text = await readFile(join(from, basename(path)), 'utf8')
    if (!check) await writeFile(path, text)
    else if (await readFile(path, 'utf8').catch(() => undefined) !== text) differs(path)
  }
}

function differs (path) {
  console.error(`${relative(process.cwd(), path)} is not what examples/prometheus and examples/grafana have; npm run chart copies it`)
  process.exitCode = 1
}
