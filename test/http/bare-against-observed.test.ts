import Fastify from 'fastify'
import t from 'tap'
import { compare } from '../support/comparison.js'
import { baseline } from '../support/stage.js'

const ways = ['HTTP/1.1', 'HTTP/1.1 with a logger'] as const
const bare = { 'HTTP/1.1': await baseline(t, Fastify, ways[0]), 'HTTP/1.1 with a logger': await baseline(t, Fastify, ways[1]) }

for (const way of ways) {
  t.test(`an application sees the same with it, without it and beside it, by ${way}`, (t) => compare(t, bare[way], Fastify, way, ['default', 'all metrics', 'last']))
}
