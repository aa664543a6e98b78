import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { parse } from 'yaml'
import { promtool } from './promtool.js'
import { GENERATED, rulesFolder, type RuleFile } from './rules.js'
import { temporaryFolder } from './temporary-folder.js'

/** A series of promtool's tests (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series). */
export interface InputSeries {
  readonly series: string
  readonly values: string
}

/** Series, and what expressions give at a time. */
export interface Scene {
  readonly interval: string
  readonly input_series: readonly InputSeries[]
  readonly promql_expr_test: ReadonlyArray<{ readonly expr: string, readonly eval_time: string, readonly exp_samples: ReadonlyArray<{ readonly labels: string, readonly value: number }> }>
}

/**
 * Puts the rules to scenes that are made by a test.
 * @param folder of the rules; default: examples/prometheus
 * @returns promtool's status and output; undefined where there is no promtool
 */
export async function testRules (t: Test, scenes: readonly Scene[], evaluationInterval: string, folder = rulesFolder): Promise<{ status: number | null, output: string } | undefined> {
  const files = GENERATED.map((file) => join(folder, file))
  const groups = await Promise.all(files.map(async (file) => (parse(await readFile(file, 'utf8')) as RuleFile).groups.map(({ name }) => name)))
  const file = join(await temporaryFolder(t, 'rules'), 'made.test.yml')
  // JSON is YAML.
  await writeFile(file, JSON.stringify({ rule_files: files, evaluation_interval: evaluationInterval, group_eval_order: groups.flat(), tests: scenes }))
  return promtool(t, ['test', 'rules', file])
}
