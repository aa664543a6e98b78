import diagnostics from 'node:diagnostics_channel'
import Fastify from 'fastify'
import t from 'tap'
import { compare } from '../support/comparison.js'

for (const way of ['HTTP/2', 'inject'] as const) {
  t.test(`an application sees the same with it, without it and beside it, by ${way}`, (t) => compare(t, Fastify, way, ['default', 'all metrics', 'last']))
}

t.test("a tracer on Fastify's own handler channel hears the same", async (t) => {
  await compare(t, Fastify, 'inject with a tracer', ['default'])
  for (const event of ['start', 'end', 'asyncStart', 'asyncEnd', 'error']) {
    t.equal(diagnostics.channel(`tracing:fastify.request.handler:${event}`).hasSubscribers, false, `nobody is left on ${event}`)
  }
})
