import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { build } from 'esbuild'
import t from 'tap'
import { everyBlockIsTaken, guide } from '../support/guide.js'
import { unpackPackage } from '../support/package-folder.js'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'

/*
 * The code of the pages about caches, outgoing requests and adapters of one's own runs, in a project that has the package.
 */
const folder = await unpackPackage(t)

t.test('caches: an observed client of Redis', async (t) => {
  const server = await startRedis(t)
  if (server === undefined) return
  const printed = await folder.node('cache.mjs', `process.env.REDIS_URL = '${server.url}'
${guide('caches').code('js', 'ioredis')}
await redis.set('rex', '0')
await redis.mget('rex', 'fido')
undo()
await redis.get('rex')
redis.disconnect()
console.log(await (await import('prom-client')).register.metrics())
`)
  t.match(printed, /^cache_gets_total\{backend="sessions"\} 2$/m)
  t.match(printed, /^cache_hits_total\{backend="sessions"\} 1$/m)
  t.match(printed, /^cache_operation_duration_seconds_count\{backend="sessions",operation="set"\} 1$/m)
})

t.test('outgoing requests: of the process, and of each route', async (t) => {
  const page = guide('outgoing-requests')
  const other = createServer((_request, response) => { response.end('walks') }).listen(0, '127.0.0.1')
  t.teardown(() => { other.close() })
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const printed = await folder.node('outgoing.mjs', `import Fastify from 'fastify'
import { metricsPlugin } from 'fastify-prometheus'
const fastify = Fastify()
${page.code('js', 'hosts').replace("'127.0.0.1'", `'127.0.0.1:${port}'`)}
${page.code('js', 'http_request_outgoing_requests')}
fastify.get('/walks', async () => await (await fetch('http://127.0.0.1:${port}/walks?secret=1')).text())
for (let i = 0; i < 2; i++) await fastify.inject('/walks')
undo()
await fastify.inject('/walks')
console.log(await fastify.metrics.render())
await fastify.close()
`)
  t.match(printed, new RegExp(`^http_client_request_duration_seconds_count\\{method="GET",host="127.0.0.1:${port}",status_code="200"\\} 2$`, 'm'))
  t.match(printed, /^http_request_outgoing_requests_sum\{method="GET",route="\/walks"\} 2$/m)
  t.match(printed, /^http_request_outgoing_requests_count\{method="GET",route="\/walks"\} 3$/m)
  t.notMatch(printed, 'secret')
})

t.test('an adapter of one\'s own: what the page shows observes', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.close())
  const { host, port, user, password } = server.config as unknown as Record<string, string>
  const adapter = await readFile(new URL('../../examples/adapter/postgres-js.ts', import.meta.url), 'utf8')
  await folder.write({ 'postgres-js.ts': adapter })
  await writeFile(folder.join('main.ts'), `${guide('adapters').code('ts', 'observed(postgres')}
console.log((await sql\`SELECT 1\`).length)
await sql.end()
const { register } = await import('prom-client')
console.log(await register.metrics())
`)
  await build({ entryPoints: [folder.join('main.ts')], bundle: true, packages: 'external', platform: 'node', format: 'esm', outfile: folder.join('main.mjs'), logLevel: 'error' })
  const printed = await folder.output(process.execPath, ['main.mjs'], { DATABASE_URL: `postgres://${user}:${password}@${host}:${port}/postgres` })
  t.match(printed, /^db_query_duration_seconds_count\{alias="default",vendor="postgresql",operation="select"\} 1$/m)
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['adapters', 'caches', 'outgoing-requests'])
  t.end()
})
