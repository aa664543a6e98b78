import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'
import { dashboards, jsonOf } from '../../examples/grafana/dashboards.js'
import { RUNBOOK } from '../../examples/grafana/links.js'
import { histograms, labelsOf, OF_SERVICE, panelsOf, queriesOf, selectorOf, shownBy, TARGET, targetsOf, variablesOf } from '../support/dashboards.js'
import { groupingsIn, interpolated, isParsed, selectorsIn } from '../support/promql.js'

const folder = new URL('../../examples/grafana/dashboards/', import.meta.url)
const GRAFANA_11 = ['timeseries', 'stat', 'table', 'heatmap', 'bargauge', 'row', 'text']

function references (text: string): string[] {
  return [...text.matchAll(/\$\{?(\w+)/g)].map(([, name = '']) => name).filter((name) => !name.startsWith('__') && !/^\d/.test(name))
}

t.test('the files are what the code gives, and there are no others', async (t) => {
  t.same((await readdir(folder)).filter((file) => !file.startsWith('.')).sort(), dashboards.map(({ file }) => file).sort())
  for (const { file, dashboard } of dashboards) t.equal(await readFile(new URL(file, folder), 'utf8'), jsonOf(dashboard), `${file}: npm run dashboards writes it`)
})

t.test('Grafana 11 and later import them, and ask for nothing', (t) => {
  t.equal(new Set(dashboards.map(({ dashboard }) => dashboard.uid)).size, dashboards.length, 'each has a uid of its own')
  for (const { file, dashboard } of dashboards) {
    t.match(dashboard.uid, /^fastify-prometheus-[a-z]+$/)
    t.equal(dashboard.schemaVersion, 39, `${file} is of a schema that Grafana 11 knows`)
    t.notOk('__inputs' in dashboard)
    t.match(dashboard, { graphTooltip: 1, refresh: '30s', tags: ['fastify-prometheus'] })
    t.same(panelsOf(dashboard).map(({ type }) => type).filter((type) => !GRAFANA_11.includes(type)), [], `${file} has panels of Grafana's own`)
  }
  t.end()
})

t.test('panels have an id and a place of their own, and lines are full', (t) => {
  for (const { file, dashboard } of dashboards) {
    const panels = panelsOf(dashboard)
    t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, `${file}: ids`)
    t.ok(panels.every(({ id = 0 }) => id > 0), `${file}: ids are positive`)
    const taken = new Map<string, string>()
    for (const { title = '', gridPos: { x, y, w, h } = { x: 0, y: 0, w: 0, h: 0 } } of panels) {
      t.ok(w > 0 && h > 0 && x >= 0 && x + w <= 24, `${file}: ${title} is within the columns`)
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          const cell = `${column},${line}`
          if (taken.has(cell)) t.fail(`${file}: ${title} lies on ${taken.get(cell)} at ${cell}`)
          taken.set(cell, title)
        }
      }
    }
    const height = Math.max(...panels.map(({ gridPos }) => (gridPos?.y ?? 0) + (gridPos?.h ?? 0)))
    t.equal(taken.size, 24 * height, `${file}: no holes`)
  }
  t.end()
})

t.test('every panel says what it shows, in which unit, and asks the chosen data source', (t) => {
  for (const { file, dashboard } of dashboards) {
    for (const panel of shownBy(dashboard)) {
      const place = `${file}: ${panel.title}`
      t.ok(panel.title, `${file}: a title`)
      t.ok((panel.description?.length ?? 0) > 20, `${place}: a description`)
      t.same(panel.datasource, { type: 'prometheus', uid: '${datasource}' }, place) // eslint-disable-line no-template-curly-in-string
      t.ok(targetsOf(panel).length > 0, `${place}: queries`)
      t.ok(targetsOf(panel).every((query) => query.datasource?.uid === panel.datasource?.uid), `${place}: its queries ask the same`)
      if (panel.type !== 'table') t.ok(panel.fieldConfig?.defaults.unit, `${place}: a unit`)
      else t.equal(panel.fieldConfig?.overrides.filter(({ properties }) => properties.some(({ id }) => id === 'unit')).length, targetsOf(panel).length, `${place}: a unit for each column`)
    }
  }
  t.end()
})

t.test('every query is PromQL, and about metrics and labels that exist', (t) => {
  for (const { file, dashboard } of dashboards) {
    for (const { place, expr, legend } of queriesOf(dashboard)) {
      const query = interpolated(expr, variablesOf(dashboard))
      t.ok(isParsed(query), `${file}: ${place}: ${query}`)
      const made = [...query.matchAll(/, "(\w+)", "[\w-]+", "\w*", "[\w|]*"\)/g)].map(([, label = '']) => label)
      const read = selectorsIn(query)
      t.ok(read.length > 0, `${file}: ${place} reads something`)
      for (const { metric, matchers } of read) {
        if (metric !== '') t.ok(labelsOf.has(metric), `${file}: ${place}: there is a metric ${metric}`)
        else t.match(matchers, [{ label: '__name__', text: '__name__=~"metrics_exposition_size_bytes(_count)?"' }, ...matchers.slice(1).map(() => ({ label: /./ }))], `${file}: ${place}: a histogram, classic or native`)
        for (const { label } of matchers.filter(({ label }) => label !== '__name__')) t.ok(has(metric, label), `${file}: ${place}: ${metric} has a label ${label}`)
      }
      for (const { labels, metrics } of groupingsIn(query)) {
        for (const label of labels) t.ok(made.includes(label) || metrics.some((metric) => has(metric, label)), `${file}: ${place}: ${metrics.join()} have a label ${label}`)
      }
      const kept = groupingsIn(query).flatMap(({ labels }) => labels)
      const told = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label)
      t.same(told.filter((label) => !kept.includes(label) && !made.includes(label)), [], `${file}: ${place}: a legend of labels that are left`)
    }
    for (const { definition = '' } of variablesOf(dashboard).filter(({ type }) => type === 'query')) {
      const { selector, label } = selectorOf(definition)
      t.ok(has(selectorsIn(interpolated(selector, []))[0]?.metric ?? '', label), `${file}: ${definition}`)
    }
  }
  t.end()
})

function has (metric: string, label: string): boolean {
  return TARGET.includes(label) || (labelsOf.get(metric) ?? []).includes(label)
}

t.test('quantiles are of buckets that are summed by le, and a rate is over the interval that Grafana chooses', (t) => {
  for (const { file, dashboard } of dashboards) {
    for (const { place, expr } of queriesOf(dashboard)) {
      for (const [, classic = '', native = ''] of expr.matchAll(/histogram_quantile\([\d.]+, (.{0,400}?)\) or histogram_quantile\([\d.]+, (.{0,400}?)\)\) >= 0/g)) {
        t.match(classic, /^sum by \(le[,)].*_bucket\{/, `${file}: ${place}: classic`)
        t.notMatch(native, /_bucket|\ble\b/, `${file}: ${place}: native`)
      }
      t.equal((expr.match(/histogram_quantile/g) ?? []).length, 2 * (expr.match(/\) or histogram_quantile/g) ?? []).length, `${file}: ${place}: quantiles of both`)
      for (const [, range = ''] of expr.matchAll(/\brate\([^[]*\[([^\]]*)\]/g)) t.equal(range, '$__rate_interval', `${file}: ${place}`)
    }
  }
  t.end()
})

t.test('what asks a classic histogram asks the native one too', (t) => {
  for (const { file, dashboard } of dashboards) {
    for (const { place, expr } of queriesOf(dashboard)) {
      const metrics = selectorsIn(interpolated(expr, variablesOf(dashboard))).map(({ metric }) => metric)
      const times = (name: string) => metrics.filter((metric) => metric === name).length
      for (const name of histograms) {
        const classic = times(`${name}_bucket`) + times(`${name}_sum`) + times(`${name}_count`)
        t.equal(classic === 0, times(name) === 0, `${file}: ${place}: ${name}, classic and native`)
        t.ok(times(name) >= classic, `${file}: ${place}: ${name} for each of its classic series`)
      }
    }
  }
  t.end()
})

t.test('every query is of the chosen processes', (t) => {
  for (const { file, dashboard } of dashboards) {
    for (const { place, expr } of queriesOf(dashboard).filter(({ place }) => !TARGET.includes(place.slice(1)))) {
      for (const { metric, matchers } of selectorsIn(expr.replace(/(?<!")\$__\w+/g, '1m').replace(/, \$threshold,/g, ', 1,'))) {
        const said = matchers.map(({ text }) => text)
        for (const label of OF_SERVICE.test(metric) ? ['namespace', 'job'] : TARGET) t.ok(said.includes(`${label}=~"$${label}"`), `${file}: ${place}: ${metric} is chosen by ${label}`)
      }
    }
  }
  t.end()
})

t.test('variables that are used are there, and those that are there are used', (t) => {
  for (const { file, dashboard } of dashboards) {
    const variables = variablesOf(dashboard)
    const names = variables.map(({ name }) => name)
    t.equal(new Set(names).size, names.length, `${file}: names`)
    const { templating, ...rest } = dashboard
    const used = new Set([...references(JSON.stringify(rest)), ...variables.flatMap(({ query }) => references(JSON.stringify(query)))])
    t.same([...used].filter((name) => !names.includes(name)), [], `${file}: all that are used`)
    t.same(names.filter((name) => !used.has(name)), [], `${file}: all that are there`)
    for (const [index, { name, definition = '' }] of variables.entries()) {
      t.same(references(definition).filter((other) => !names.slice(0, index).includes(other)), [], `${file}: $${name} is asked for within those before it`)
    }
  }
  t.end()
})

t.test('a label that may be missing hides nothing, and one service is shown at first', (t) => {
  for (const { file, dashboard } of dashboards) {
    for (const variable of variablesOf(dashboard).filter(({ type }) => type === 'query')) {
      if (variable.name === 'job') t.match(variable, { includeAll: false, multi: true, current: undefined }, `${file}: $job`)
      // Each target has one.
      else if (variable.name === 'instance') t.match(variable, { includeAll: true, multi: true, allValue: '.+', current: { value: '$__all' } }, `${file}: $instance`)
      else t.match(variable, { includeAll: true, multi: true, allValue: '.*', current: { value: '$__all' } }, `${file}: $${variable.name}`)
    }
  }
  t.end()
})

t.test('links lead to dashboards that are there, with variables and time', (t) => {
  const uids = dashboards.map(({ dashboard }) => dashboard.uid)
  for (const { file, dashboard } of dashboards) {
    const [runbook, ...others] = (dashboard.links ?? []).filter(({ targetBlank }) => targetBlank)
    t.match(runbook, { url: RUNBOOK, includeVars: false })
    t.same(others, [])
    const links = (dashboard.links ?? []).filter(({ targetBlank }) => !targetBlank)
    t.same(links.map(({ url }) => url).sort(), uids.filter((uid) => uid !== dashboard.uid).map((uid) => `/d/${uid}`).sort(), `${file}: all others`)
    t.ok(links.every(({ includeVars, keepTime }) => includeVars && keepTime), `${file}: with variables and time`)
    for (const [, uid = ''] of JSON.stringify(dashboard).matchAll(/"\/d\/([\w-]+)/g)) t.ok(uids.includes(uid), `${file}: ${uid} is there`)
    for (const [, name = ''] of JSON.stringify(dashboard).matchAll(/[?&]var-(\w+)=/g)) {
      t.ok(dashboards.some((other) => other.dashboard.uid === 'fastify-prometheus-routes' && variablesOf(other.dashboard).some((variable) => variable.name === name)), `${file}: $${name} is there`)
    }
  }
  t.end()
})

t.test('PromQL that is none is known as such', (t) => {
  for (const expr of ['', 'sum(', 'rate(x[1m]', 'a + ', 'sum by (a (b)']) t.notOk(isParsed(expr), `'${expr}'`)
  t.ok(isParsed('sum by (a) (rate(x{b="c"}[1m])) > 0'))
  t.same(selectorsIn('sum(rate(x{b=~"c"}[1m])) / y'), [{ metric: 'x', matchers: [{ label: 'b', text: 'b=~"c"' }] }, { metric: 'y', matchers: [] }])
  t.same(groupingsIn('sum by (a, b) (x) / on (c) y'), [{ labels: ['a', 'b'], metrics: ['x'] }, { labels: ['c'], metrics: ['x', 'y'] }])
  t.end()
})
