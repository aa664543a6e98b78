import { movedBetween, scrape } from './scrape.js'
import { choicesOf, Visitor, type Answer } from './visitor.js'

const METRES = 750

/** What one round moves, whatever else is in the database. */
const EXPECTED: Record<string, number> = {
  'walks_started': 1,
  'walks_completed': 1,
  'invalid_walks': 5,
  'walk_distance_count': 1,
  'walk_distance_sum': METRES,
  'walk_distance_bucket{le="400.0"}': 0,
  'walk_distance_bucket{le="800.0"}': 1,
  'model_inserts_total{model="walk"}': 1,
  'model_updates_total{model="walk"}': 1,
  'db_query_duration_seconds_count{alias="default",vendor="postgresql",operation="insert"}': 1,
  'db_query_duration_seconds_count{alias="default",vendor="postgresql",operation="update"}': 1,
  'db_query_duration_seconds_count{alias="status",vendor="postgresql",operation="select"}': 1,
  'http_requests_received_total{method="GET",route="/",scheme="http"}': 1,
  'http_requests_received_total{method="POST",route="/walks/start",scheme="http"}': 3,
  'http_requests_received_total{method="POST",route="/walks/complete",scheme="http"}': 4,
  'http_request_duration_seconds_count{method="GET",route="/",status_code="200"}': 1,
  'http_request_duration_seconds_count{method="GET",route="/walks/start",status_code="200"}': 1,
  'http_request_duration_seconds_count{method="POST",route="/walks/start",status_code="303"}': 1,
  'http_request_duration_seconds_count{method="POST",route="/walks/start",status_code="400"}': 2,
  'http_request_duration_seconds_count{method="GET",route="/walks/complete",status_code="200"}': 1,
  'http_request_duration_seconds_count{method="POST",route="/walks/complete",status_code="303"}': 1,
  'http_request_duration_seconds_count{method="POST",route="/walks/complete",status_code="400"}': 3,
  'http_request_duration_seconds_count{method="GET",route="/status",status_code="200"}': 1,
  'http_request_duration_seconds_count{method="GET",route="__unmatched__",status_code="404"}': 1
}

/** The families worth a line for each series. */
const SHOWN = /^(walk\w*|invalid_walks|model_\w+_total|db_(query_duration_seconds_count|rows_total|connections_opened_total)|http_request_duration_seconds_count)(?<!_bucket)(\{|$)/

/**
 * Goes once through every page, and compares what /metrics says after it with what it said before.
 * @returns the series that moved, a line each
 * @throws Error with what was not as expected
 */
export async function smoke (url: string): Promise<string[]> {
  const before = await scrape(url)
  await goRound(new Visitor(url))
  const moved = movedBetween(before, await scrape(url))

  for (const [series, expected] of Object.entries(EXPECTED)) {
    const change = moved.get(series) ?? 0
    if (change !== expected) throw new Error(`${series} moved by ${change}, expected ${expected}`)
  }
  for (const series of moved.keys()) {
    if (series.startsWith('metrics_instrumentation_errors_total')) throw new Error(`the instrumentation had trouble: ${series}`)
  }
  const shown = [...moved].filter(([series]) => SHOWN.test(series))
  return shown.map(([series, change]) => `${signed(change).padStart(6)}  ${series}`)
}

async function goRound (visitor: Visitor): Promise<void> {
  expect(await visitor.open('/'), 200, 'Dogs out')

  const { text } = expect(await visitor.open('/walks/start'), 200, 'Walker')
  const [walker] = choicesOf(text, 'walker')
  const [dog] = choicesOf(text, 'dog')
  if (walker === undefined || dog === undefined) throw new Error('no walker or no dog is there to start a walk with')
  const started = expect(await visitor.send('/walks/start', { walker: walker.value, dog: dog.value }), 303)
  const [, walk = ''] = /^\/#walk-(\d+)$/.exec(started.location) ?? []
  expect(await visitor.send('/walks/start', { walker: walker.value, dog: dog.value }), 400, 'is out already')
  expect(await visitor.send('/walks/start', {}), 400, 'Choose a dog')

  expect(await visitor.open(`/walks/complete?walk=${walk}`), 200, `<option value="${walk}" selected>`)
  expect(await visitor.send('/walks/complete', { walk, distance: '-5' }), 400, 'cannot be negative')
  expect(await visitor.send('/walks/complete', { walk, distance: 'far' }), 400, 'must be a number')
  expect(await visitor.send('/walks/complete', { walk, distance: String(METRES) }), 303)
  expect(await visitor.send('/walks/complete', { walk, distance: String(METRES) }), 400, 'completed already')

  expect(await visitor.open('/status'), 200, '"database":"up"')
  expect(await visitor.open('/no-such-page'), 404, 'Not here')

  function expect (answer: Answer, status: number, text = ''): Answer {
    if (answer.status !== status) throw new Error(`a page answered ${answer.status} instead of ${status}: ${firstLineOf(answer.text)}`)
    if (!answer.text.includes(text)) throw new Error(`a page that answered ${status} does not say '${text}'`)
    return answer
  }
}

function firstLineOf (page: string): string {
  return page.replace(/<(style|head)>.*?<\/\1>|<[^>]*>/gs, ' ').replace(/\s+/g, ' ').trim().slice(0, 120)
}

function signed (change: number): string {
  return `${change > 0 ? '+' : ''}${Number(change.toFixed(3))}`
}
