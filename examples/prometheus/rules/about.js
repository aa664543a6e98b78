// @ts-check

/** Labels that a dashboard has a variable for, which a link can set. */
const variables = {
  overview: [],
  routes: ['method', 'route'],
  database: ['alias'],
  dependencies: ['host'],
  runtime: ['instance'],
  business: []
}

/**
 * What an alert says of itself.
 * @param {import('./settings.js').Settings} settings
 */
export function about ({ labels, runbook, grafana }) {
  const environment = labels.filter((label) => label !== 'job')
  return {
    /** Of which service, and in which environment. */
    who: `{{ $labels.job }}${environment.map((label) => `{{ with $labels.${label} }} in {{ . }}{{ end }}`).join('')}`,

    /**
     * @param {string} summary one line
     * @param {string} anchor of its section in the runbook
     * @param {keyof typeof variables} dashboard where to look first
     * @param {readonly string[]} [chosen] labels that its link sets; default: all that the dashboard has a variable for
     */
    annotations: (summary, anchor, dashboard, chosen = variables[dashboard]) => ({
      summary,
      runbook_url: `${runbook}#${anchor}`,
      dashboard_url: `${grafana}/d/fastify-prometheus-${dashboard}?${['namespace', 'job'].filter((label) => labels.includes(label)).concat(chosen)
        .map((label) => `var-${label}={{ $labels.${label} | urlquery }}`).join('&')}`
    })
  }
}
