import t from 'tap'
import { testRules, type InputSeries, type Scene } from '../support/rule-test.js'

/*
 * Every alert on a budget comes inside an incident or not at all, however long that is and whatever share of requests it takes; and whoever pages, pages soon.
 */
const BEFORE_MINUTES = 300
const AFTER_MINUTES = 375
/** What two minutes of a rate, and an evaluation, can be late. */
const LATE_MINUTES = 3
const REQUESTS_A_MINUTE = 600

interface Outage {
  readonly minutes: number
  /** The share of requests that are bad. */
  readonly share: number
}

const outages: readonly Outage[] = [1, 5, 12, 45].flatMap((minutes) => [1, 0.4, 0.05].map((share) => ({ minutes, share })))
const jobOf = ({ minutes, share }: Outage) => `of-${minutes}m-${share * 100}-percent`
const FIRING = 'ALERTS{alertstate="firing", alertname=~"Http.*Burn|Outgoing.+|CacheErrors"}'

/** All is well for five hours, then a share of requests is bad, then all is well again. */
function stages (before: number, during: number, { minutes }: Outage): string {
  const [end, over] = [before * BEFORE_MINUTES, during * minutes]
  return `0+${before}x${BEFORE_MINUTES} ${end + during}+${during}x${minutes - 1} ${end + over + before}+${before}x${AFTER_MINUTES}`
}

function errors (outage: Outage): InputSeries[] {
  const labels = (status: number) => `job="${jobOf(outage)}", instance="a", method="GET", route="/", status_code="${status}"`
  const bad = REQUESTS_A_MINUTE * outage.share
  return [
    { series: `http_request_duration_seconds_count{${labels(200)}}`, values: stages(REQUESTS_A_MINUTE, REQUESTS_A_MINUTE - bad, outage) },
    { series: `http_request_duration_seconds_bucket{${labels(200)}, le="0.5"}`, values: stages(REQUESTS_A_MINUTE, REQUESTS_A_MINUTE - bad, outage) },
    { series: `http_request_duration_seconds_count{${labels(500)}}`, values: stages(0, bad, outage) }
  ]
}

function slowness (outage: Outage): InputSeries[] {
  const labels = `job="${jobOf(outage)}", instance="a", method="GET", route="/", status_code="200"`
  return [
    { series: `http_request_duration_seconds_count{${labels}}`, values: stages(REQUESTS_A_MINUTE, REQUESTS_A_MINUTE, outage) },
    { series: `http_request_duration_seconds_bucket{${labels}, le="0.5"}`, values: stages(REQUESTS_A_MINUTE, REQUESTS_A_MINUTE * (1 - outage.share), outage) }
  ]
}

/** Of another service and of a cache. */
function dependencies (outage: Outage): InputSeries[] {
  const target = `job="${jobOf(outage)}", instance="a"`
  const bad = REQUESTS_A_MINUTE * outage.share
  const host = `${target}, method="GET", host="api.example.com"`
  const backend = `${target}, backend="default"`
  return [
    { series: `http_client_request_duration_seconds_count{${host}, status_code="200"}`, values: stages(REQUESTS_A_MINUTE, REQUESTS_A_MINUTE - bad, outage) },
    { series: `http_client_request_duration_seconds_bucket{${host}, status_code="200", le="2.5"}`, values: stages(REQUESTS_A_MINUTE, REQUESTS_A_MINUTE - bad, outage) },
    { series: `http_client_request_errors_total{${host}, type="ECONNREFUSED"}`, values: stages(0, bad, outage) },
    { series: `cache_operation_duration_seconds_count{${backend}, operation="get"}`, values: stages(REQUESTS_A_MINUTE, REQUESTS_A_MINUTE, outage) },
    { series: `cache_errors_total{${backend}, type="ECONNREFUSED"}`, values: stages(0, bad, outage) }
  ]
}

/** Nothing fires in the hours after the end that did not fire before. */
function nothingLate (outage: Outage): Scene['promql_expr_test'][number] {
  const end = BEFORE_MINUTES + outage.minutes + LATE_MINUTES
  const left = BEFORE_MINUTES + AFTER_MINUTES - end
  const ofIt = FIRING.replace('{', `{job="${jobOf(outage)}", `)
  return {
    expr: `present_over_time(${ofIt}[${left}m]) unless present_over_time(${ofIt}[${outage.minutes + LATE_MINUTES}m] offset ${left}m)`,
    eval_time: `${end + left}m`,
    exp_samples: []
  }
}

const allOf = (make: (outage: Outage) => InputSeries[], more: Scene['promql_expr_test'] = []): Scene => ({
  interval: '1m',
  input_series: outages.flatMap(make),
  promql_expr_test: [{ expr: FIRING, eval_time: `${BEFORE_MINUTES}m`, exp_samples: [] }, ...outages.map(nothingLate), ...more]
})

t.test('of outages of a minute to an hour, of all requests or of some, no alert begins after the end', async (t) => {
  const paged = (minutes: number) => outages.filter((outage) => outage.share === 1 && outage.minutes > minutes)
    .map((outage) => ({ labels: `{job="${jobOf(outage)}"}`, value: 1 }))
  const answer = await testRules(t, [
    // A page within three minutes of a whole outage.
    allOf(errors, [{ expr: `group by (job) (${FIRING.replace('}', ', severity="critical"}')} and on (job) {job=~".*-100-percent", __name__="job:http_requests:rate2m"})`, eval_time: `${BEFORE_MINUTES + 3}m`, exp_samples: paged(0) }]),
    allOf(slowness),
    // A ticket within ten minutes of a whole outage that lasts, and none for a minute of one of another service.
    allOf(dependencies, [
      { expr: 'group by (job) (ALERTS{alertstate="firing", alertname="OutgoingRequestErrors", job=~".*-100-percent"})', eval_time: `${BEFORE_MINUTES + 5}m`, exp_samples: paged(1) },
      { expr: 'group by (job) (ALERTS{alertstate="firing", alertname="CacheErrors", job=~".*-100-percent"})', eval_time: `${BEFORE_MINUTES + 3}m`, exp_samples: paged(0) }
    ])
  ], '1m')
  if (answer !== undefined) t.match(answer, { status: 0, output: /SUCCESS/ })
})

t.test('a test that asks for it sees an alert that comes late', async (t) => {
  const outage: Outage = { minutes: 12, share: 1 }
  const { expr, eval_time: time } = nothingLate(outage)
  const scene: Scene = {
    interval: '1m',
    input_series: errors(outage),
    // As if it had ended when it began.
    promql_expr_test: [{ expr: expr.replaceAll(/\[15m\]/g, '[1m]').replace(/offset \d+m/, (offset) => `offset ${Number(offset.slice(7, -1)) + 15}m`), eval_time: time, exp_samples: [] }]
  }
  const answer = await testRules(t, [scene], '1m')
  if (answer !== undefined) t.match(answer, { status: 1, output: /HttpErrorsFastBurn/ })
})
