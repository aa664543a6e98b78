import Fastify from 'fastify'
import t from 'tap'
import { compare } from '../support/comparison.js'

for (const way of ['HTTP/1.1', 'HTTP/1.1 with a logger'] as const) {
  t.test(`an application sees the same with it, without it and beside it, by ${way}`, (t) => compare(t, Fastify, way, ['default', 'all metrics', 'last']))
}
