import t from 'tap'
import { unpackPackage } from '../support/package-folder.js'

/** An empty project with the tarball of what `npm run build` made in it. */
const folder = await unpackPackage(t)
const ENTRIES = ['fastify-prometheus', 'fastify-prometheus/pg', 'fastify-prometheus/typeorm', 'fastify-prometheus/testing']

await folder.write({
  'required.cjs': `module.exports = [${ENTRIES.map((entry) => `require('${entry}')`).join(', ')}]\n`,
  'imported.mjs': `export default [${ENTRIES.map((entry) => `await import('${entry}')`).join(', ')}]\n`
})

for (const [first, second] of [['required.cjs', 'imported.mjs'], ['imported.mjs', 'required.cjs']]) {
  t.test(`each entry gives the same by import and by require(): ${first} first`, async (t) => {
    const found = JSON.parse(await folder.node('same.mjs', `
      const loaded = { '${first}': (await import('./${first}')).default, '${second}': (await import('./${second}')).default }
      const pairs = loaded['required.cjs'].map((required, i) => [required, loaded['imported.mjs'][i]])
      console.log(JSON.stringify(pairs.map(([required, imported]) => ({
        required: Object.keys(required).sort(), imported: Object.keys(imported).sort(), others: Object.keys(imported).filter((name) => imported[name] !== required[name])
      }))))
    `, '--throw-deprecation')) as Array<{ required: string[], imported: string[], others: string[] }>
    t.equal(found.length, ENTRIES.length)
    for (const [i, { required, imported, others }] of found.entries()) {
      t.ok(required.length > 0, String(ENTRIES[i]))
      t.same(imported, required, 'the same names')
      t.same(others, [], 'the same things')
    }
  })
}

t.test('what require() instrumented, registered and threw is known to import, and the other way round', async (t) => {
  const said = await folder.node('known.mjs', `
    import { createRequire } from 'node:module'
    import Fastify from 'fastify'
    import pg from 'pg'
    import { Registry } from 'prom-client'
    import { MetricsError, metricsPlugin } from 'fastify-prometheus'
    import { instrumentPool } from 'fastify-prometheus/pg'
    const require = createRequire(import.meta.url)
    const registry = new Registry()
    const pool = new pg.Pool()
    const undo = require('fastify-prometheus/pg').instrumentPool(pool, { registry })
    const thrown = (() => { try { require('fastify-prometheus/pg').instrumentPool(null) } catch (error) { return error } })()
    const warned = []
    const app = Fastify({ loggerInstance: { ...console, level: 'warn', child () { return this }, trace () {}, debug () {}, info () {}, fatal () {}, warn (message) { warned.push(message) } } })
    await app.register(require('fastify-prometheus'), { registry })
    await app.register(metricsPlugin, { registry })
    console.log(JSON.stringify([instrumentPool(pool, { registry }) === undo, thrown instanceof MetricsError, warned]))
    await app.close()
  `)
  t.same(JSON.parse(said), [true, true, ['fastify-prometheus is registered already; its first registration counts and this one does nothing']])
})
