import t from 'tap'
import { execFile } from 'node:child_process'
import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { instrumentPool } from '../../adapters/pg.js'
import { startPostgres } from '../support/postgres.js'
import { temporaryFolder } from '../support/temporary-folder.js'
import { Books, calls, ignore, installed } from './books.js'

const modules = await installed(t, async () => ({ ...await import('@prisma/adapter-pg'), pg: (await import('pg')).default }))

interface Client {
  walk: { create (args: object): Promise<unknown>, findMany (): Promise<unknown[]>, updateMany (args: object): Promise<unknown> }
  $executeRawUnsafe (sql: string): Promise<unknown>
  $transaction (run: (tx: Client) => Promise<unknown>): Promise<unknown>
  $disconnect (): Promise<void>
}

const SCHEMA = `
generator client {
  provider = "prisma-client"
  output   = "./generated"
}
datasource db {
  provider = "postgresql"
}
model walk {
  id     Int @id
  metres Int
}
`

if (modules !== undefined) {
  const { PrismaPg, pg } = modules

  t.test('Prisma, by the pool that its adapter is given', async (t) => {
    const server = await startPostgres()
    t.teardown(() => server.close())
    const sent = calls(t, pg.Client.prototype, 'query')
    const books = new Books()
    const { PrismaClient } = await generate(t)
    const pool = new pg.Pool({ ...server.config, max: 3 })
    pool.on('error', ignore)
    instrumentPool(pool, books)
    const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
    await prisma.$executeRawUnsafe('CREATE TABLE walk (id INT PRIMARY KEY, metres INT)')
    for (const id of [1, 2]) await prisma.walk.create({ data: { id, metres: 5 } })
    t.equal((await prisma.walk.findMany()).length, 2)
    await t.rejects(prisma.walk.create({ data: { id: 1, metres: 5 } }), { code: 'P2002' })
    await prisma.$transaction((tx) => tx.walk.updateMany({ data: { metres: 6 } }))
    await t.rejects(prisma.$transaction(async (tx) => {
      await tx.walk.findMany()
      throw new Error('rain')
    }), { message: 'rain' })
    const { queries, errors, opened, waits, trouble } = await books.totals()
    t.same({ queries, errors, trouble }, { queries: sent.count, errors: { unique_violation: 1 }, trouble: 0 })
    t.ok(queries >= 11 && waits >= 7 && opened >= 1)
    t.match(await books.pool(), { used: 0, max: 3, pending: 0 })
    await prisma.$disconnect()
    await pool.end()
    t.equal((await books.totals()).closed, opened)
  })
}

/** The client of a schema with one model, made by `prisma generate`. */
async function generate (t: Parameters<typeof temporaryFolder>[0]): Promise<{ PrismaClient: new (options: object) => Client }> {
  const folder = await temporaryFolder(t, 'prisma')
  const packages = fileURLToPath(new URL('node_modules', import.meta.url))
  await symlink(packages, join(folder, 'node_modules'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(join(folder, 'schema.prisma'), SCHEMA)
  // Generating needs no engine, but Prisma downloads the one of migrations unless it is told that there is one.
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: '1', PRISMA_HIDE_UPDATE_MESSAGE: '1' }
  await promisify(execFile)(process.execPath, [join(packages, 'prisma/build/index.js'), 'generate', '--schema', join(folder, 'schema.prisma')], { cwd: folder, env })
  return await import(pathToFileURL(join(folder, 'generated/client.ts')).href) as { PrismaClient: new (options: object) => Client }
}
