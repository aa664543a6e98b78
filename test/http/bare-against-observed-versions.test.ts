import type Fastify from 'fastify'
import t from 'tap'
import { compare } from '../support/comparison.js'
import { baseline, type Setup, type Way } from '../support/stage.js'

/** The versions of Fastify at which its handler channel came or changed. */
const versions: { [version: string]: { default: unknown } } = {
  '5.0': await import('fastify-5.0'),
  '5.6': await import('fastify-5.6'),
  '5.7': await import('fastify-5.7')
}

const plays: Array<{ version: string, make: typeof Fastify, way: Way, setup: Setup, bare: Awaited<ReturnType<typeof baseline>> }> = []
for (const [version, module] of Object.entries(versions)) {
  const make = module.default as typeof Fastify
  plays.push({ version, make, way: 'HTTP/1.1 with a logger', setup: 'all metrics', bare: await baseline(t, make, 'HTTP/1.1 with a logger') })
  plays.push({ version, make, way: 'inject', setup: 'default', bare: await baseline(t, make, 'inject') })
  // The oldest: the others differ from it in what every way shares.
  if (version === '5.0') plays.push({ version, make, way: 'HTTP/2', setup: 'all metrics', bare: await baseline(t, make, 'HTTP/2') })
}

for (const { version, make, way, setup, bare } of plays) {
  t.test(`an application on Fastify ${version} sees the same with it, without it and beside it, by ${way}`, (t) => compare(t, bare, make, way, [setup]))
}
