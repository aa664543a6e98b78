import diagnostics from 'node:diagnostics_channel'
import Fastify from 'fastify'
import t from 'tap'
import { compare } from '../support/comparison.js'
import { baseline } from '../support/stage.js'

const ways = ['HTTP/2', 'inject'] as const
const bare = { 'HTTP/2': await baseline(t, Fastify, ways[0]), inject: await baseline(t, Fastify, ways[1]) }
const traced = await baseline(t, Fastify, 'inject with a tracer')

for (const way of ways) {
  t.test(`an application sees the same with it, without it and beside it, by ${way}`, (t) => compare(t, bare[way], Fastify, way, ['default', 'all metrics', 'last']))
}

t.test("a tracer on Fastify's own handler channel hears the same", async (t) => {
  await compare(t, traced, Fastify, 'inject with a tracer', ['default'])
  for (const event of ['start', 'end', 'asyncStart', 'asyncEnd', 'error']) {
    t.equal(diagnostics.channel(`tracing:fastify.request.handler:${event}`).hasSubscribers, false, `nobody is left on ${event}`)
  }
})
