import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboardOf } from './frame.js'
import { bars, heatmap, lines, stat } from './panels.js'
import { between, buckets, countIn, growth, mean, quantile, rateOf, series, share, sum, sumIn } from './queries.js'
import { modelVariable } from './variables.js'

const where = ['model=~"$model"']
const started = sum(growth('walks_started'))
const completed = sum(growth('walks_completed'))
const invalid = sum(growth('invalid_walks'))
/** The bounds of the distances' buckets, in metres. */
const BOUNDS = [50, 200, 400, 800, 1600, 3200]
/** Metres are written with all their digits: SI prefixes make 1.68 Mm of a walk round the country. */
const METRES = 'suffix:m'
const KILOMETRES = 'suffix:km'

export function business (): Dashboard {
  return dashboardOf({
    uid: 'fastify-prometheus-business',
    description: 'Does the company walk dogs: walks, distances, refused forms; and what became of its models.',
    hours: 3,
    variables: [modelVariable()],
    rows: [
      { title: 'Walks, in the time shown', panels: [startedCount, completedCount, conversion, more, distance, meanDistance, invalidCount, invalidShare] },
      { title: 'Walks', panels: [walks, difference, forms] },
      { title: 'Distances', panels: [distanceAnHour, quantiles, distribution, distances] },
      { title: 'Models', panels: [inserted, updated, deleted, softDeleted, restored, upserted, all] }
    ]
  })
}

const startedCount = stat({
  title: 'Started',
  description: 'Walks that began, all processes together. Prometheus extrapolates to the ends of the time shown, so it is near the true number and seldom it.',
  unit: 'locale',
  queries: [[started]],
  noValue: 'no process',
  runbook: 'no-walk-started'
}).decimals(0)

const completedCount = stat({
  title: 'Completed',
  description: 'Walks that ended. Far fewer than began, for hours: the page to complete a walk fails.',
  unit: 'locale',
  queries: [[completed]],
  noValue: 'no process'
}).decimals(0)

const conversion = stat({
  title: 'Of started',
  description: 'Walks that were completed, of those that began. In a short time it may be above 100 %: walks end that began before. Far below 100 % in a day, walks are forgotten.',
  unit: 'percentunit',
  queries: [[share(completed, started)]],
  noValue: 'none started'
}).decimals(0)

const more = stat({
  title: 'More out',
  description: 'Walks that began without those that ended: by how many more dogs are out than at the beginning of the time shown. How many are out is not in these counters, as they begin anew with each process; the database knows.',
  unit: 'locale',
  queries: [[`${started} - ${completed}`]],
  noValue: 'no process'
}).decimals(0)

const distance = stat({
  title: 'Distance',
  description: 'All completed walks together.',
  unit: KILOMETRES,
  queries: [[`${sumIn('walk_distance')} / 1000`]],
  noValue: 'no process'
}).decimals(1)

const meanDistance = stat({
  title: 'Mean distance',
  description: 'The distance of all completed walks by their number.',
  unit: METRES,
  queries: [[`${sumIn('walk_distance')} / (${countIn('walk_distance')} > 0)`]],
  noValue: 'no walks'
}).decimals(0)

const invalidCount = stat({
  title: 'Refused forms',
  description: 'Forms to start or complete a walk that were refused.',
  unit: 'locale',
  queries: [[invalid]],
  noValue: 'no process',
  runbook: 'invalid-walks'
}).decimals(0)

const invalidShare = stat({
  title: 'Refused',
  description: 'Of all forms that were sent: refused, started and completed. A jump after a deployment is a form that people do not understand, or a check that is wrong.',
  unit: 'percentunit',
  queries: [[share(invalid, `(${started} + ${completed} + ${invalid})`)]],
  limits: { yellow: 0.15, red: 0.3 },
  noValue: 'no forms',
  runbook: 'invalid-walks'
}).decimals(1)

const walks = lines({
  title: 'Walks an hour',
  description: 'Walks that began and that ended, at the pace of the moment. Begun without ended for hours: the page to complete a walk fails.',
  unit: 'locale',
  decimals: 0,
  queries: [
    [`3600 * ${rateOf('walks_started')}`, 'started'],
    [`3600 * ${rateOf('walks_completed')}`, 'completed']
  ],
  noValue: 'no process',
  runbook: 'no-walk-started'
})

const difference = lines({
  title: 'More out than an hour before',
  description: 'Walks that began within the hour before, without those that ended in it. It returns to 0 in the evening, or dogs are still out. The counters of a process begin anew with it, so their difference says nothing; what they grew by does.',
  unit: 'locale',
  decimals: 0,
  signed: true,
  queries: [[`${sum(`increase(${series('walks_started')}[1h])`)} - ${sum(`increase(${series('walks_completed')}[1h])`)}`, 'walks']],
  noValue: 'no process'
})

const forms = lines({
  title: 'Share of forms refused',
  description: 'Of all forms that were sent. A gap is a time without any.',
  unit: 'percentunit',
  atLeast: 0.1,
  queries: [[share(rateOf('invalid_walks'), `(${rateOf('walks_started')} + ${rateOf('walks_completed')} + ${rateOf('invalid_walks')})`), 'refused']],
  noValue: 'no forms',
  runbook: 'invalid-walks'
})

const distanceAnHour = lines({
  title: 'Distance of the hour before',
  description: 'Completed walks, all processes together. Counted when a walk is completed, whenever it was walked.',
  unit: KILOMETRES,
  decimals: 1,
  width: 12,
  queries: [[`${sumIn('walk_distance', '1h')} / 1000`, 'distance']],
  noValue: 'no process'
})

const quantiles = lines({
  title: 'Distance of a walk',
  description: 'The last bound of the buckets is 3,200 m: a quantile of that means that or more.',
  unit: METRES,
  decimals: 0,
  width: 12,
  queries: [
    [mean('walk_distance'), 'mean'],
    ...([0.5, 0.9] as const).map((q) => [quantile(q, 'walk_distance'), `p${q * 100}`] as const)
  ],
  noValue: 'no walks'
})

const distribution = bars({
  title: 'Walks by distance, in the time shown',
  height: 10,
  description: 'How many walks were that long: more than the first number of metres, and at most the second.',
  unit: 'locale',
  width: 12,
  queries: [
    ...BOUNDS.map((upper, index) => [between(BOUNDS[index - 1], upper, 'walk_distance'), `${BOUNDS[index - 1] ?? 0} to ${upper} m`] as const),
    [between(BOUNDS.at(-1), undefined, 'walk_distance'), `over ${BOUNDS.at(-1)} m`]
  ],
  noValue: 'no walks'
}).decimals(0)

const distances = heatmap({
  title: 'Distances',
  height: 10,
  description: 'How many walks of which distance, when.',
  unit: METRES,
  queries: [[buckets('walk_distance')]],
  noValue: 'no walks'
})

const inserted = models('Inserted', 'model_inserts_total', 'Models inserted a second, counted when their transaction committed. Nothing, while requests come: they are refused, or fail.')
const updated = models('Updated', 'model_updates_total', 'Models updated a second, counted when their transaction committed.')
const deleted = models('Deleted', 'model_deletes_total', 'Models deleted for good, a second. A peak that nobody planned is worth a look before the backups are gone.')
const softDeleted = models('Deleted softly', 'model_soft_deletes_total', 'Models that were marked as deleted, a second.')
const upserted = models('Upserted', 'model_upserts_total', 'Models written by an upsert, a second. The database does not say which of them were new.')
const restored = models('Restored', 'model_restores_total', 'Softly deleted models that were restored, a second. Many after many were deleted: somebody repairs a mistake.')

const all = bars({
  title: 'Operations, in the time shown',
  height: 12,
  width: 24,
  description: 'What became of each model, all processes together. To see which model is written most, and by what.',
  unit: 'locale',
  queries: [
    [sum(growth('model_inserts_total', ...where), 'model'), '{{model}} inserted'],
    [sum(growth('model_updates_total', ...where), 'model'), '{{model}} updated'],
    [sum(growth('model_deletes_total', ...where), 'model'), '{{model}} deleted']
  ],
  noValue: 'no writes'
}).decimals(0)

function models (title: string, metric: string, description: string) {
  return lines({ title, description, unit: 'ops', queries: [[rateOf(metric, { by: 'model', where }), '{{model}}']], noValue: 'none yet' })
}
