// @ts-check

/** The host of requests to services that have no name of their own: nobody could say whom an alert is about. */
const OTHER = '_OTHER'

/**
 * The parts that expressions are made of, for one choice of settings.
 * @param {import('./settings.js').Settings} settings
 */
export function promql ({ labels, prefix, histograms, bound, jobs, longLivedHosts }) {
  const service = labels.join(', ')

  /**
   * A selector of series.
   * @param {string} metric
   * @param {string} [matchers]
   */
  const series = (metric, matchers = '') => `${prefix}${metric}${matchers === '' ? '' : `{${matchers}}`}`

  /**
   * How many observations a histogram gets a second, series by series: what a process has in both kinds counts once.
   * @param {string} metric
   * @param {string} window
   * @param {string} [matchers]
   */
  const observations = (metric, window, matchers) => {
    const classic = `rate(${series(`${metric}_count`, matchers)}[${window}])`
    const native = `histogram_count(rate(${series(metric, matchers)}[${window}]))`
    if (histograms !== 'both') return histograms === 'classic' ? classic : native
    return `${classic} or ${native}`
  }

  /**
   * How many of them are at most a limit. A native series without observations has no share of them, and is left out.
   * @param {string} metric
   * @param {string} window
   * @param {string} matchers
   * @param {number} [limit] in seconds; default: the bound of the objective
   */
  const within = (metric, window, matchers, limit = bound) => {
    const classic = `sum without (le) (rate(${series(`${metric}_bucket`, `${matchers}, ${leOf(limit)}`)}[${window}]))`
    const rate = `rate(${series(metric, matchers)}[${window}])`
    const native = `histogram_fraction(-Inf, ${limit}, ${rate}) * histogram_count(${rate}) >= 0`
    if (histograms !== 'both') return histograms === 'classic' ? classic : native
    return `${classic}\n  or ${native}`
  }

  /** The labels of a service, and then others. @param {readonly string[]} more */
  const by = (...more) => `by (${[service, ...more].join(', ')})`

  /**
   * What is under way and does not end: at least five, the oldest is older than a minute, and at the pace at which they end, they would take
   * more than half a minute.
   * @param {readonly string[]} labels that it is told apart by, beside the service's
   * @param {{ now: string, oldest: string, ended: string, failed?: string, matchers?: string }} metrics gauges of how many and how old, a
   * histogram of those that ended, and a counter of those that ended and are not in it
   */
  const hanging = (labels, { now, oldest, ended, failed, matchers }) => {
    const inFlight = `sum ${by(...labels)} (${series(now, matchers)})`
    const over = `${observations(ended, '1m', matchers)}${failed === undefined ? '' : ` or rate(${series(failed, matchers)}[1m])`}`
    return `${inFlight} > 30 * (sum ${by(...labels)} (${over}) or 0 * ${inFlight})
and ${inFlight} >= 5
and max ${by(...labels)} (${series(oldest, matchers)}) > 60
`
  }

  return {
    by,
    series,
    observations,
    hanging,
    within,
    /** Matches the targets of the chosen jobs. */
    ofJobs: jobs.length === 1 ? `job="${jobs[0]}"` : `job=~"${jobs.map(literally).join('|')}"`,
    /** Matches the other services that have a name. */
    ofHosts: `host!="${OTHER}"`,
    /** Matches those of them whose answers are meant to come soon. */
    ofPromptHosts: longLivedHosts.length === 0 ? `host!="${OTHER}"` : `host!~"${[OTHER, ...longLivedHosts.map(literally)].join('|')}"`
  }
}

/**
 * A text in a regular expression in a string of PromQL.
 * @param {string} text
 */
function literally (text) {
  return text.replace(/[.*[\]]/g, '\\\\$&')
}

/**
 * The label of a bucket: OpenMetrics and Prometheus 3 write 1.0 where the text format has 1.
 * @param {number} bound
 */
function leOf (bound) {
  return Number.isInteger(bound) ? `le=~"${bound}(\\\\.0)?"` : `le="${bound}"`
}
