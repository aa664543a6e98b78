import type Fastify from 'fastify'
import t from 'tap'
import { compare } from '../support/comparison.js'

/** The versions of Fastify at which its handler channel came or changed. */
const versions: { [version: string]: () => Promise<{ default: unknown }> } = {
  '5.0': () => import('fastify-5.0'),
  '5.6': () => import('fastify-5.6'),
  '5.7': () => import('fastify-5.7')
}

for (const [version, load] of Object.entries(versions)) {
  t.test(`an application on Fastify ${version} sees the same with it, without it and beside it`, async (t) => {
    const make = (await load()).default as typeof Fastify
    await t.test('HTTP/1.1', (t) => compare(t, make, 'HTTP/1.1 with a logger', ['all metrics']))
    // The oldest: the others differ from it in what every way shares.
    if (version === '5.0') await t.test('HTTP/2', (t) => compare(t, make, 'HTTP/2', ['all metrics']))
    await t.test('inject', (t) => compare(t, make, 'inject', ['default']))
  })
}
