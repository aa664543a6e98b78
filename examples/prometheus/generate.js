#!/usr/bin/env node
// @ts-check
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { burnAlerts } from './rules/burn.js'
import { databaseAlerts } from './rules/database.js'
import { dependencyAlerts } from './rules/dependencies.js'
import { prometheusRule, ruleFile } from './rules/file.js'
import { httpAlerts } from './rules/http.js'
import { metricsAlerts } from './rules/metrics.js'
import { processAlerts } from './rules/processes.js'
import { recordings } from './rules/recordings.js'
import { flags, readSettings, SettingsError } from './rules/settings.js'

const USAGE = `Usage: node generate.js [flags]

Writes the rules and alerts for the jobs and objectives that the flags say:

${Object.entries(flags).map(([name, [value, meaning]]) => `  --${`${name}=${value}`.padEnd(28)} ${meaning}`).join('\n')}
  --out=.                        the folder for the files
  --check                        writes nothing; exits 1 and names the files that are not what the flags give
`

/** @param {unknown} error */
function refuse (error) {
  process.stderr.write(`generate.js: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}

try {
  const options = /** @type {Record<keyof typeof flags, { type: 'string' }>} */ (Object.fromEntries(Object.keys(flags).map((flag) => [flag, { type: 'string' }])))
  const { values: { out, check, help, ...given } } = parseArgs({
    options: { ...options, out: { type: 'string', default: import.meta.dirname }, check: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } }
  })
  if (help) process.stdout.write(USAGE)
  else write(filesOf(given), out, check)
} catch (error) {
  if (error instanceof SettingsError || String(Object(error).code).startsWith('ERR_PARSE_ARGS') || Object(error).syscall !== undefined) refuse(error)
  throw error
}

/**
 * The files, by their names.
 * @param {Partial<Record<keyof typeof flags, string>>} given
 * @returns {Array<[name: string, text: string]>}
 */
function filesOf (given) {
  const settings = readSettings(given)
  const made = Object.entries(given).map(([flag, value]) => ` --${flag}=${value}`).join('')
  const head = (/** @type {string} */ what) => `${what}\n\nMade by: node generate.js${made}\nChange what is in it by those flags (node generate.js --help), and not here.`
  const records = recordings(settings)
  const alerts = [...burnAlerts(settings), httpAlerts(settings), databaseAlerts(settings), dependencyAlerts(settings), processAlerts(settings), metricsAlerts(settings)]
  return [
    ['fastify-prometheus.rules.yml', ruleFile(head(`What the alerts of fastify-prometheus.alerts.yml ask for again and again, computed once.

Names are level:metric:operation (https://prometheus.io/docs/practices/rules/). A service is told apart by ${settings.labels.join(' and ')}; a label that
your targets do not have is empty, and everything works the same.`), records)],
    ['fastify-prometheus.alerts.yml', ruleFile(head(`Alerts on what fastify-prometheus exports. Each has a section in the runbook. They need fastify-prometheus.rules.yml.

severity: critical wants somebody now, warning in working hours.`), alerts)],
    ['fastify-prometheus.prometheusrule.yml', prometheusRule(head('The same rules and alerts for the Prometheus Operator.'), 'fastify-prometheus', [...records, ...alerts])]
  ]
}

/**
 * @param {ReadonlyArray<[name: string, text: string]>} files
 * @param {string} folder
 * @param {boolean} check
 */
function write (files, folder, check) {
  if (!check) mkdirSync(folder, { recursive: true })
  for (const [name, text] of files) {
    const path = join(folder, name)
    const shown = relative(process.cwd(), path)
    if (!check) {
      writeFileSync(path, text)
      process.stdout.write(`${shown}\n`)
    } else if (textOf(path) !== text) {
      process.stderr.write(`${shown} is not what the flags give; without --check this command writes it\n`)
      process.exitCode = 1
    }
  }
}

/** @param {string} path */
function textOf (path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
