/** With +Inf, sum and count these are 14 series for each label set. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5]

/** How many series, which are lines on the page, a label set is. */
export const LINES = { counters: 1, histograms: BUCKETS.length + 3 }

/** What a process may have: as many series as the budgets are for, and many more. */
export const LOADS = [
  { load: 'counters', sets: 10_000, budgeted: true },
  { load: 'histograms', sets: 714, budgeted: true },
  { load: 'histograms', sets: 10_000, budgeted: false }
]

/** Such as `714 histograms (9,996 series)`. */
export function textOf ({ load, sets }) {
  return `${sets.toLocaleString('en')} ${load} (${(sets * LINES[load]).toLocaleString('en')} series)`
}

/**
 * Makes so many label sets in the global registry.
 * @returns a function that changes each of them
 */
export async function fill (library, load, sets) {
  const { Counter, Histogram } = await import(library === 'ours' ? 'fastify-prometheus' : library)
  const labelNames = ['method', 'route', 'status_code']
  const config = { help: 'What is measured.', labelNames, ...library === 'ours' ? { maxSeries: sets } : {} }
  const counter = load === 'counters' ? new Counter({ name: 'requests_total', ...config }) : undefined
  const histogram = load === 'histograms' ? new Histogram({ name: 'request_duration_seconds', buckets: BUCKETS, ...config }) : undefined
  const children = Array.from({ length: sets }, (_, i) => {
    const labels = { method: 'GET', route: `/api/v1/things/${i % 2000}/details`, status_code: String(200 + Math.floor(i / 2000)) }
    return (counter ?? histogram).labels(labels)
  })
  const change = () => {
    for (const [i, child] of children.entries()) {
      if (counter === undefined) child.observe(i * 31 % 3000 / 1000)
      else child.inc()
    }
  }
  for (let k = 0; k < 8; k++) change()
  return change
}
