import { readdirSync, readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { parse } from 'yaml'
import { temporaryFolder } from './temporary-folder.js'

/** A rule as its file has it. */
export interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly labels?: { readonly severity?: string, readonly window?: string }
  readonly annotations?: { readonly summary?: string, readonly runbook_url?: string, readonly dashboard_url?: string }
}

export interface RuleFile {
  readonly groups: ReadonlyArray<{ readonly name: string, readonly interval?: string, readonly rules: readonly Rule[] }>
}

export const rulesFolder = fileURLToPath(new URL('../../examples/prometheus', import.meta.url))

/** The files that generate.js makes for a Prometheus, and all that the dog-walking service has. */
export const GENERATED: readonly string[] = ['fastify-prometheus.rules.yml', 'fastify-prometheus.alerts.yml']
export const OF_SERVICE: readonly string[] = [...GENERATED, 'dog-walking.rules.yml']

/** All that examples/prometheus/ has, of all its files. */
export const rules: readonly Rule[] = readdirSync(rulesFolder).filter((file) => /\.(rules|alerts)\.yml$/.test(file))
  .flatMap((file) => (parse(readFileSync(join(rulesFolder, file), 'utf8')) as RuleFile).groups.flatMap(({ rules }) => rules))

/** A query in one line. */
export function flat (query: string): string {
  return query.replace(/\s+/g, ' ').trim()
}

/**
 * Copies files of rules, with every group evaluated each second: a test has no half minute to wait.
 * @returns the paths of the copies
 */
export async function hurried (t: Test, files: readonly string[]): Promise<string[]> {
  const folder = await temporaryFolder(t, 'rules')
  return Promise.all(files.map(async (file) => {
    const copy = join(folder, basename(file))
    await writeFile(copy, (await readFile(file, 'utf8')).replace(/^ {4}interval: .*$/gm, '    interval: 1s'))
    return copy
  }))
}
