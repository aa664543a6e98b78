import t from 'tap'
import { MOST_NAMED } from '../../src/live/chart.js'
import { MOST_LINES, RANGES } from '../../src/live/history.js'
import { MOST_METRICS, MOST_SERIES } from '../../src/live/own.js'
import { UNWATCHED, UNWATCHED_SHARE, UNWATCHED_TOGETHER, WATCHED, WATCHED_SHARE } from '../../src/live/sampler.js'
import { CHARTED, MOST_CHARTED, MOST_ROUTES } from '../../src/live/traffic.js'
import { MOST_VIEWERS } from '../../src/live/viewers.js'
import { everyBlockIsTaken, guide } from '../support/guide.js'
import { unpackPackage } from '../support/package-folder.js'

/* docs/live.md: its code runs in an empty project against the packed tarball, and its numbers are those of the code. */
const folder = await unpackPackage(t)
const page = guide('live')
const APPLICATION = "import Fastify from 'fastify'\nimport { metricsPlugin } from 'fastify-prometheus'\nconst fastify = Fastify()\n"

t.test('the page, its password, and what the opt-in metrics add', async (t) => {
  const statuses = (header: string) => `for (const authorization of [undefined, ${header}]) {
  const headers = authorization === undefined ? {} : { authorization }
  console.log((await fastify.inject({ url: '/metrics/live', headers })).statusCode)
}
process.exit()`
  const open = await folder.node('live.mjs', `${APPLICATION}${page.code('js', 'metricsPlugin, { live: true })')}
const { statusCode, headers, body } = await fastify.inject('/metrics/live')
console.log(statusCode, headers['content-type'], body.includes('live/page.js?v='))
process.exit()`)
  t.equal(open, '200 text/html; charset=utf-8 true\n')
  t.equal(await folder.node('live.mjs', `import basicAuth from '@fastify/basic-auth'
${APPLICATION}const validate = async (name, password) => { if (name !== 'prometheus' || password !== 'secret') throw new Error('no') }
${page.code('js', 'basicAuth')}
${statuses("'Basic ' + btoa('prometheus:secret')")}`), '401\n200\n')
  const curl = page.code('sh', 'live.json?range=1h').trim().split('\n')
  const printed = await folder.node('live.mjs', `import { exec } from 'node:child_process'
import { promisify } from 'node:util'
${APPLICATION}${page.code('js', 'http_request_db_queries: true')}
fastify.get('/walks/:id', async () => 'ok')
await fastify.listen({ port: 0, host: '127.0.0.1' })
const { port } = fastify.server.address()
await fetch(\`http://127.0.0.1:\${port}/walks/1\`)
for (const command of ${JSON.stringify(curl)}) {
  const { stdout } = await promisify(exec)(command.replace('curl', 'curl --silent').replace('localhost:3000', \`127.0.0.1:\${port}\`))
  const { range, route } = JSON.parse(stdout)
  console.log(range, JSON.stringify(route))
}
process.exit()`)
  t.equal(printed, '1h null\n5m {"method":"GET","route":"/walks/:id"}\n')
})

t.test('its numbers are those of the code', (t) => {
  const says = (what: string) => t.match(page.text.replaceAll('\n', ' '), what)
  says(`every ${WATCHED / 1000} seconds while somebody looks, else every ${UNWATCHED / 1000}`)
  says(`${UNWATCHED_SHARE * 100} % of a core while nobody looks, or ${WATCHED_SHARE * 100} % while`)
  says(`asks the others every ${UNWATCHED_TOGETHER / 1000} seconds`)
  says(`at most ${MOST_LINES.toLocaleString('en')} lines of ${RANGES.reduce((sum, { steps }) => sum + steps, 0)} numbers`)
  says(`| ${CHARTED} routes | the table has up to ${MOST_ROUTES}; a route beyond gets charts when it is chosen, up to ${MOST_CHARTED} |`)
  says(`| ${MOST_METRICS} metrics of your own |`)
  says(`| ${MOST_NAMED} series of a metric |`)
  says(`| ${MOST_SERIES.toLocaleString('en')} series of a metric of your own |`)
  says(`At most ${MOST_VIEWERS} viewers`)
  says(`${(RANGES[1]?.step ?? 0) / 1000} seconds, ${(RANGES[2]?.step ?? 0) / 60_000} minutes`)
  t.end()
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['live'])
  t.end()
})
