// @ts-check

/**
 * What can be chosen. Every rule is made of these.
 * @typedef {object} Settings
 * @property {readonly string[]} jobs Names of Prometheus jobs: what TargetDown, ServiceDown and TargetMissing look at.
 * @property {readonly string[]} labels Labels that tell one service in one environment from another.
 * @property {number} errorBudget The share of requests that may fail: 0.001 for 99.9 %.
 * @property {number} latencyBudget The share of requests that may take longer than the bound: 0.01 for 99 %.
 * @property {number} bound In seconds: an answer within it is in time.
 * @property {number} outgoingBound In seconds: another service that takes longer is slow.
 * @property {readonly string[]} longLivedHosts Other services that take long on purpose.
 * @property {string} prefix The option `prefix` of metricsPlugin.
 * @property {'both' | 'classic' | 'native'} histograms Which histograms Prometheus has.
 * @property {string} runbook The address of docs/runbook.md.
 * @property {string} grafana Where Grafana is, without a slash at the end; '' for links that begin with /d/.
 */

/** The flags, their defaults, and what they mean. */
export const flags = {
  job: ['dog-walking', 'the names of your jobs in Prometheus, with commas between them'],
  availability: ['99.9', 'percent of requests that shall not fail (5xx, or no answer at all)'],
  latency: ['99', 'percent of requests that shall be answered within --bound'],
  bound: ['0.5', 'seconds; with classic histograms one of the buckets of http_request_duration_seconds'],
  'outgoing-bound': ['2.5', 'seconds within which other services shall answer; with classic histograms one of the buckets'],
  'long-lived-hosts': ['', 'other services that stream or take long on purpose, with commas between them, as the label host has them'],
  prefix: ['', "the option 'prefix' of metricsPlugin"],
  histograms: ['both', "'both' works with classic, with native, and with both; 'classic' for engines without native ones, 'native' is cheaper"],
  labels: ['namespace,job', 'the labels that tell a service in one environment from another'],
  'runbook-url': ['https://github.com/fastify-prometheus/fastify-prometheus/blob/main/docs/runbook.md', 'the address of the runbook'],
  'grafana-url': ['', "where Grafana is; '' for links that begin with /d/"]
}

/** The lowest objective, in percent: with a larger budget 14.4 times the budget is more than all requests, and the alert could never fire. */
const LOWEST = 94

/** A flag that was given a wrong value. */
export class SettingsError extends Error {}

/**
 * Reads the flags.
 * @param {Partial<Record<keyof typeof flags, string>>} given Those that are missing have their defaults.
 * @returns {Settings}
 * @throws {SettingsError} which names the flag, what was expected and what it got
 */
export function readSettings (given) {
  /** @param {keyof typeof flags} flag */
  const text = (flag) => given[flag] ?? /** @type {string} */ (flags[flag][0])
  const labels = list('labels', text('labels'), /^[a-zA-Z_][a-zA-Z0-9_]*$/, 'names of labels, such as namespace,job')
  if (!labels.includes('job')) wrong('labels', "names of labels with 'job' among them", text('labels'))
  return {
    jobs: list('job', text('job'), /^[\w./:-]+$/, 'names of jobs, such as walks,dogs: letters, digits and _ . / : -'),
    labels,
    errorBudget: budget('availability', text('availability')),
    latencyBudget: budget('latency', text('latency')),
    bound: bound('bound', text('bound')),
    outgoingBound: bound('outgoing-bound', text('outgoing-bound')),
    longLivedHosts: text('long-lived-hosts') === '' ? [] : list('long-lived-hosts', text('long-lived-hosts'), /^[\w.*:[\]-]+$/, 'hosts without scheme and path, such as api.example.com,localhost:3000'),
    prefix: matching('prefix', text('prefix'), /^([a-zA-Z_:][a-zA-Z0-9_:]*)?$/, "the beginning of a metric's name, such as walks_"),
    histograms: histograms(text('histograms')),
    runbook: address('runbook-url', text('runbook-url')),
    grafana: text('grafana-url') === '' ? '' : address('grafana-url', text('grafana-url')).replace(/\/+$/, '')
  }
}

/**
 * @param {keyof typeof flags} flag
 * @param {string} text
 */
function budget (flag, text) {
  const percent = number(text)
  if (percent === undefined || percent < LOWEST || percent >= 100) wrong(flag, `percent from ${LOWEST} to less than 100, such as ${flags[flag][0]}`, text)
  return Number((1 - percent / 100).toPrecision(6))
}

/**
 * @param {keyof typeof flags} flag
 * @param {string} text
 */
function bound (flag, text) {
  const seconds = number(text)
  if (seconds === undefined || seconds <= 0 || seconds > 3600) wrong(flag, `seconds, more than 0 and at most 3600, such as ${flags[flag][0]}`, text)
  return seconds
}

/** @param {string} text */
function histograms (text) {
  if (text !== 'both' && text !== 'classic' && text !== 'native') wrong('histograms', "'both', 'classic' or 'native'", text)
  return text
}

/**
 * @param {keyof typeof flags} flag
 * @param {string} text
 */
function address (flag, text) {
  const expected = 'an address that begins with http:// or https://, without a name or a password in it'
  const url = URL.canParse(text) ? new URL(text) : undefined
  // An address with a password is not shown.
  if (url !== undefined && url.username + url.password !== '') throw new SettingsError(`--${flag} must be ${expected}`)
  if (url === undefined || !/^https?:$/.test(url.protocol) || /[\s{}"'\\]/.test(text)) wrong(flag, expected, text)
  return text
}

/**
 * @param {keyof typeof flags} flag
 * @param {string} text
 * @param {RegExp} pattern
 * @param {string} expected
 */
function list (flag, text, pattern, expected) {
  return text.split(',').map((item) => matching(flag, item, pattern, expected))
}

/**
 * @param {keyof typeof flags} flag
 * @param {string} text
 * @param {RegExp} pattern
 * @param {string} expected
 */
function matching (flag, text, pattern, expected) {
  if (!pattern.test(text)) wrong(flag, expected, text)
  return text
}

/** @param {string} text */
function number (text) {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined
}

/**
 * @param {keyof typeof flags} flag
 * @param {string} expected
 * @param {string} text
 * @returns {never}
 */
function wrong (flag, expected, text) {
  throw new SettingsError(`--${flag} must be ${expected}, got '${text.slice(0, 60)}'`)
}
