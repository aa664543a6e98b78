// What a changed rule is put to: the scenes of the unit tests, with no more rules than can tell of the change.
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parse } from 'yaml'

const FILES = ['fastify-prometheus.rules.yml', 'fastify-prometheus.alerts.yml']
const TESTS = ['burn', 'days', 'edges', 'alerts', 'windows', 'month', 'slo', 'dependencies'].map((name) => `${name}.test.yml`)
const folder = fileURLToPath(new URL('../../examples/prometheus/', import.meta.url))
const read = (file) => parse(readFileSync(join(folder, file), 'utf8'))

export const groups = FILES.flatMap((file) => read(file).groups)

const all = groups.flatMap(({ rules }) => rules)
const scenes = TESTS.flatMap((file) => {
  const { tests, ...head } = read(`tests/${file}`)
  return tests.map((test) => ({ ...head, tests: [test] }))
})

/**
 * How to try a rule. Throws where a scene fails with nothing changed: then it would notice everything.
 * @param {object} rule
 * @param {string} path of the files to write, without an ending
 */
export async function trialOf (rule, path) {
  const kept = around(rule)
  const chosen = scenes.flatMap((scene) => narrowed(scene, kept) ?? []).sort((a, b) => names(b, rule) - names(a, rule))
  for (const scene of chosen) {
    const failure = await failureOf(scene, groupsOf(kept, rule, rule), path)
    if (failure !== undefined) throw new Error(`${nameOf(rule)}: the scene '${scene.tests[0].name}' fails with nothing changed\n${failure}`)
  }
  return {
    /** Whether a scene fails with the mutant in the rule's place. The first that does is enough. */
    async isNoticed (mutant, path) {
      const changed = groupsOf(kept, rule, mutant)
      for (const scene of chosen) {
        if (await failureOf(scene, changed, path) !== undefined) return true
      }
      return false
    }
  }
}

export function nameOf ({ alert, record }) {
  return alert ?? record
}

/** The rule with all that reads it, however indirectly, and with all that these read: nothing else can tell whether it changed. */
function around (rule) {
  const readers = closure([rule], ({ record }) => record === undefined ? [] : all.filter(({ expr }) => recordsIn(expr).includes(record)))
  // A scene that counts what is recorded counts all of its kind.
  const counts = scenes.flatMap(({ tests: [{ promql_expr_test: asked = [] }] }) => asked.flatMap(({ expr }) => patternsIn(expr)))
    .filter((pattern) => [...readers].some(({ record }) => pattern.test(record)))
  const alike = all.filter(({ record }) => counts.some((pattern) => pattern.test(record)))
  // Alerts of one name are told together.
  return closure([...readers, ...alike], ({ alert, expr }) => all.filter((other) => recordsIn(expr).includes(other.record) || (alert !== undefined && other.alert === alert)))
}

function closure (from, next) {
  const kept = new Set(from)
  // A set that grows while it is walked is walked to its end.
  for (const one of kept) {
    for (const more of next(one)) kept.add(more)
  }
  return kept
}

function recordsIn (expr) {
  return expr.match(/\b[a-z_]+:[a-z_]+:\w+/g) ?? []
}

function patternsIn (expr) {
  return [...expr.matchAll(/__name__=~"([^"]+)"/g)].map(([, pattern]) => new RegExp(`^(?:${pattern})$`))
}

/** Of a scene what it says of these rules; undefined if that is nothing. */
function narrowed (scene, rules) {
  const kept = [...rules].map(nameOf)
  const [{ alert_rule_test: alerts = [], promql_expr_test: asked = [], ...test }] = scene.tests
  const told = alerts.filter(({ alertname }) => kept.includes(alertname))
  const answered = asked.flatMap((one) => {
    const only = /alertname="(\w+)"/.exec(one.expr)?.[1]
    if (only !== undefined && !kept.includes(only)) return []
    if (one.expr.includes('ALERTS')) return { ...one, exp_samples: one.exp_samples.filter(({ labels }) => kept.includes(/alertname="(\w+)"/.exec(labels)?.[1])) }
    const counted = all.filter(({ record }) => patternsIn(one.expr).some((pattern) => pattern.test(record)))
    const needed = counted.length > 0 ? counted.map(nameOf) : recordsIn(one.expr)
    return needed.every((name) => kept.includes(name)) ? one : []
  })
  return told.length + answered.length === 0 ? undefined : { ...scene, tests: [{ ...test, alert_rule_test: told, promql_expr_test: answered }] }
}

function names (scene, rule) {
  const [{ promql_expr_test: asked = [] }] = scene.tests
  return JSON.stringify(scene.tests).includes(nameOf(rule)) || asked.some(({ expr }) => patternsIn(expr).some((pattern) => pattern.test(rule.record))) ? 1 : 0
}

function groupsOf (kept, rule, mutant) {
  return groups.map((group) => ({ ...group, rules: group.rules.filter((one) => kept.has(one)).map((one) => one === rule ? mutant : one) }))
    .filter(({ rules }) => rules.length > 0)
}

/** What promtool says of the scene; undefined if it passes. */
async function failureOf (scene, groups, path) {
  // JSON is YAML.
  writeFileSync(`${path}.rules.yml`, JSON.stringify({ groups }))
  writeFileSync(`${path}.test.yml`, JSON.stringify({ ...scene, rule_files: [`${path}.rules.yml`] }))
  try {
    await promisify(execFile)('promtool', ['test', 'rules', `${path}.test.yml`])
    return undefined
  } catch (error) {
    return `${error.stdout}${error.stderr}`
  }
}
