import awsLambda, { type LambdaFastifyOptions, type LambdaResponse } from '@fastify/aws-lambda'
import { initTRPC, TRPCError } from '@trpc/server'
import { fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import Fastify from 'fastify'
import mercurius from 'mercurius'
import { Registry } from 'prom-client'
import t from 'tap'
import { metricsPlugin } from '../../src/index.js'
import { MAX_LABEL_VALUES } from '../../src/http/user-labels.js'
import { ended } from '../support/books.js'
import { service } from '../support/http.js'
import { ask, checkBooks, scrape } from '../support/neighbours.js'
import { Page } from '../support/page.js'

/** What API Gateway hands over. */
interface LambdaEvent { httpMethod: string, path: string, headers: Record<string, string> }

t.test('mercurius: all of GraphQL is one route, and its errors are 200; a label of your own tells its operations', async (t) => {
  const { url } = await service(t, {
    routes: (app) => {
      app.register(mercurius, {
        schema: 'type Query { dog: String, broken: String }',
        resolvers: { Query: { dog: () => 'Rex', broken: () => { throw new RangeError('broken') } } }
      })
    },
    options: { labels: { operation: (request) => (request.body as { operationName?: string } | null | undefined)?.operationName } }
  })
  const query = (query: string, operationName?: string) => ask(url, '/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, operationName }) })
  t.equal(await query('query Dog { dog }', 'Dog'), 200)
  t.equal(await query('query Broken { broken }', 'Broken'), 200)
  t.equal(await query('{ dog }'), 200)
  t.equal(await query('{ cat }'), 400)
  for (let made = 0; made < 150; made++) await query('{ dog }', `made-${made}`)
  const page = await scrape(url)
  t.same(page.values('http_requests_received_total', 'route'), ['/graphql'])
  t.equal(ended(page, { operation: 'Dog', status_code: '200' }), 1)
  t.equal(ended(page, { operation: 'Broken', status_code: '200' }), 1, 'an error of a resolver is in the answer')
  t.equal(page.sum('http_exceptions_total', { type: 'RangeError' }), 0)
  t.equal(ended(page, { status_code: '400' }), 1, 'a query that the schema has not is refused')
  t.ok(page.values('http_request_duration_seconds_count', 'operation').length <= MAX_LABEL_VALUES + 2, 'clients cannot make series')
  checkBooks(t, page, 154)
})

t.test('tRPC: all procedures are one route, which a label of your own tells apart', async (t) => {
  const trpc = initTRPC.create()
  const router = trpc.router({
    dog: trpc.procedure.query(() => 'Rex'),
    lost: trpc.procedure.query(() => { throw new TRPCError({ code: 'NOT_FOUND' }) }),
    broken: trpc.procedure.query(() => { throw new RangeError('broken') })
  })
  const { url } = await service(t, {
    routes: (app) => { app.register(fastifyTRPCPlugin, { prefix: '/trpc', trpcOptions: { router, onError () {} } }) },
    options: { labels: { procedure: (request) => (request.params as { path?: string } | undefined)?.path } }
  })
  t.same([await ask(url, '/trpc/dog'), await ask(url, '/trpc/lost'), await ask(url, '/trpc/broken'), await ask(url, '/trpc/dog,lost?batch=1')], [200, 404, 500, 207])
  const page = await scrape(url)
  t.same(page.values('http_requests_received_total', 'route'), ['/trpc/:path'])
  t.equal(ended(page, { procedure: 'dog', status_code: '200' }), 1)
  t.equal(ended(page, { procedure: 'dog,lost', status_code: '207' }), 1, 'a batch is one request')
  t.equal(page.sum('http_responses_streamed_total'), 4, 'tRPC streams what it answers')
  checkBooks(t, page, 4)
})

t.test('@fastify/aws-lambda: its requests are counted like others, and the page is one of them', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metricsPlugin, { registry: new Registry(), runtime: false })
  app.get('/', async () => 'ok')
  const handler = awsLambda<LambdaEvent, LambdaFastifyOptions, LambdaResponse>(app)
  const event = (path: string) => handler({ httpMethod: 'GET', path, headers: {} }, {} as never)
  t.same([(await event('/')).statusCode, (await event('/nothing')).statusCode], [200, 404])
  const { body, isBase64Encoded } = await event('/metrics')
  const page = new Page(isBase64Encoded ? Buffer.from(body, 'base64').toString() : body)
  t.equal(ended(page, { route: '/', status_code: '200' }), 1)
  t.equal(ended(page, { route: '__unmatched__', status_code: '404' }), 1)
  checkBooks(t, page, 2)
})
