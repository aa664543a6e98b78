import t from 'tap'
import { ended } from '../support/books.js'
import { writeAppModule } from '../support/nest.js'
import { ask, checkBooks, scrape } from '../support/neighbours.js'
import { unpackPackage } from '../support/package-folder.js'

/** A project with the tarball of what `npm run build` made in it, and the module of Nest. */
const folder = await unpackPackage(t)
await writeAppModule(folder)

const main = (early: string, late: string) => `import 'reflect-metadata'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { metricsPlugin } from 'fastify-prometheus'
import { AppModule } from './app.module.js'
const adapter = new FastifyAdapter({ logger: true })
${early}
const app = await NestFactory.create(AppModule, adapter, { logger: false })
app.setGlobalPrefix('api')
${late}
await app.listen(Number(process.env.PORT), '127.0.0.1')
`

for (const [order, code] of [['before the application', main('await adapter.getInstance().register(metricsPlugin)', '')], ['on the application', main('', 'await app.register(metricsPlugin)')]] as const) {
  t.test(`Nest, registered ${order}: routes have their prefix and the page has none; statuses are those of guards and filters`, async (t) => {
    const url = await folder.start(t, 'main.js', code)
    const asked: Array<[path: string, route: string, status: number]> = [
      ['/api/dogs/1', '/api/dogs/:id', 200],
      ['/api/dogs/2', '/api/dogs/:id', 200],
      ['/api/dogs/1/closed', '/api/dogs/:id/closed', 403],
      ['/api/dogs/1/walked', '/api/dogs/:id/walked', 200],
      ['/api/dogs/1/lost', '/api/dogs/:id/lost', 404],
      ['/api/dogs/1/teapot', '/api/dogs/:id/teapot', 418],
      ['/api/dogs/1/broken', '/api/dogs/:id/broken', 500],
      ['/api/dogs/1/named', 'named', 400],
      ['/api/nothing', '__unmatched__', 404],
      ['/dogs/1', '__unmatched__', 404]
    ]
    for (const [path, , status] of asked) t.equal(await ask(url, path), status, path)
    t.equal(await ask(url, '/api/dogs/1/quiet'), 200)
    const page = await scrape(url)
    for (const [, route, status] of asked) {
      t.equal(ended(page, { route, status_code: String(status) }), asked.filter((other) => other[1] === route && other[2] === status).length, route)
    }
    t.equal(page.sum('http_exceptions_total'), 0, 'Nest answers what is thrown, and Fastify does not see it')
    for (const route of ['closed', 'walked', 'teapot', 'broken']) {
      t.equal(page.sum('http_handler_duration_seconds_count', { route: `/api/dogs/:id/${route}` }), 1, 'guards, interceptors and filters are within the handler')
    }
    checkBooks(t, page, asked.length)
  })
}
