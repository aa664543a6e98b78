// @ts-check

/**
 * A rule of Prometheus (https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/#rule).
 * @typedef {object} Rule
 * @property {string} [record]
 * @property {string} [alert]
 * @property {string} expr
 * @property {string} [for]
 * @property {Readonly<Record<string, string>>} [labels]
 * @property {Readonly<Record<string, string>>} [annotations]
 * @property {string} [comment] Stands above it in the file.
 */

/**
 * Rules that are evaluated one after the other, at one time.
 * @typedef {object} Group
 * @property {string} name
 * @property {string} [interval] Default: the evaluation_interval of Prometheus.
 * @property {string} [comment]
 * @property {readonly Rule[]} rules
 */

/**
 * A file for Prometheus' rule_files.
 * @param {string} head comment of the whole file
 * @param {readonly Group[]} groups
 */
export function ruleFile (head, groups) {
  return `${comment(head, '')}${yamlOf(groups)}`
}

/**
 * The same rules as an object of the Prometheus Operator (https://prometheus-operator.dev/docs/api-reference/api/).
 * @param {string} head comment of the whole file
 * @param {string} name of the object
 * @param {readonly Group[]} groups
 */
export function prometheusRule (head, name, groups) {
  return `${comment(head, '')}apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: ${name}
  # The labels that your Prometheus selects its rules by (spec.ruleSelector).
  labels:
    release: kube-prometheus-stack
spec:
${indented(yamlOf(groups), '  ')}`
}

/** @param {readonly Group[]} groups */
function yamlOf (groups) {
  return `groups:\n${groups.map(({ name, interval, comment: text, rules }) =>
    `${comment(text, '  ')}  - name: ${name}\n${interval === undefined ? '' : `    interval: ${interval}\n`}    rules:\n${rules.map(ruleYaml).join('')}`).join('\n')}`
}

/** @param {Rule} rule */
function ruleYaml ({ record, alert, expr, for: time, labels, annotations, comment: text }) {
  return [
    comment(text, '      '),
    record === undefined ? `      - alert: ${alert}\n` : `      - record: ${record}\n`,
    `        expr: ${expr.includes('\n') ? `|\n${indented(expr.trimEnd(), '          ')}` : scalar(expr)}\n`,
    time === undefined ? '' : `        for: ${time}\n`,
    map('labels', labels),
    map('annotations', annotations)
  ].join('')
}

/**
 * @param {string} name
 * @param {Readonly<Record<string, string>>} [entries]
 */
function map (name, entries = {}) {
  const lines = Object.entries(entries).map(([key, value]) => `          ${key}: ${scalar(value)}\n`)
  return lines.length === 0 ? '' : `        ${name}:\n${lines.join('')}`
}

/**
 * A string of one line in YAML: plain where that is the same, else in single quotes.
 * @param {string} text
 */
function scalar (text) {
  return /^[a-z][\w-]*$/.test(text) && !/^(y|n|yes|no|on|off|true|false|null)$/.test(text) ? text : `'${text.replaceAll("'", "''")}'`
}

/**
 * @param {string | undefined} text
 * @param {string} indent
 */
function comment (text, indent) {
  return text === undefined ? '' : text.split('\n').map((line) => `${indent}#${line === '' ? '' : ` ${line}`}\n`).join('')
}

/**
 * @param {string} text
 * @param {string} indent
 */
function indented (text, indent) {
  return text.replace(/^(?=.)/gm, indent)
}
