import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { dashboards, jsonOf } from './dashboards.js'

const { values: { check } } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
const folder = fileURLToPath(new URL('../dashboards/', import.meta.url))
await mkdir(folder, { recursive: true })

for (const { file, dashboard } of dashboards) {
  const path = join(folder, file)
  const shown = relative(process.cwd(), path)
  const json = jsonOf(dashboard)
  if (!check) {
    await writeFile(path, json)
    console.log(`${shown}: ${dashboard.title}`)
  } else if (await readFile(path, 'utf8').catch(() => '') !== json) {
    console.error(`${shown} is not what the code gives; npm run dashboards writes it`)
    process.exitCode = 1
  }
}
