import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

/** A rule as its file has it. */
export interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly labels?: { readonly severity?: string, readonly window?: string }
  readonly annotations?: { readonly runbook?: string, readonly summary?: string }
}

interface RuleFile {
  readonly groups: ReadonlyArray<{ readonly rules: readonly Rule[] }>
}

export const rulesFolder = fileURLToPath(new URL('../../examples/prometheus', import.meta.url))

/** All that examples/prometheus/ has, of all its files. */
export const rules: readonly Rule[] = readdirSync(rulesFolder).filter((file) => /\.(rules|alerts)\.yml$/.test(file))
  .flatMap((file) => (parse(readFileSync(join(rulesFolder, file), 'utf8')) as RuleFile).groups.flatMap(({ rules }) => rules))

/** A query in one line. */
export function flat (query: string): string {
  return query.replace(/\s+/g, ' ').trim()
}
