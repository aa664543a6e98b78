import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fastify, { type FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { metricsPlugin } from '../../src/index.js'
import { removeFolder, temporaryFolder } from '../support/temporary-folder.js'
import { valueOf } from './fleet.js'

/*
 * Directories that cannot be used: the service runs on and serves its own metrics, the trouble is counted, and logged once with what to do. Where the directory can
 * be used again, it is.
 */
interface Logged { readonly message: string, readonly err: string }

async function start (t: Test, dir: string): Promise<{ app: FastifyInstance, logged: Logged[], page: () => Promise<string> }> {
  const logged: Logged[] = []
  const app = fastify({
    logger: {
      level: 'warn',
      stream: {
        write: (line: string) => {
          const { msg, err } = JSON.parse(line) as { msg: string, err?: { message?: string } }
          logged.push({ message: msg, err: err?.message ?? '' })
        }
      }
    }
  })
  app.register(metricsPlugin, { registry: new Registry(), processes: { dir, flushInterval: 50 } })
  app.get('/walk', async () => 'ok')
  t.teardown(() => app.close())
  await app.ready()
  await app.inject('/walk')
  return { app, logged, page: async () => (await app.inject('/metrics')).body }
}

/** Root of a container may not, unless it was given the right. */
async function mayMount (): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'fastify-prometheus-mount-'))
  const { status } = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', folder])
  if (status === 0) execFileSync('umount', ['-l', folder])
  await rm(folder, { recursive: true })
  return status === 0
}

const WALKS = /^http_request_duration_seconds_count\{.*route="\/walk"/
const TROUBLE = /^metrics_instrumentation_errors_total\{source="processes"/

/** Serves its own metrics, and says once what is wrong. */
async function alone (t: Test, dir: string, why: RegExp): Promise<Awaited<ReturnType<typeof start>>> {
  const started = await start(t, dir)
  const { page, logged } = started
  t.equal(valueOf(await page(), WALKS), 1, 'its own metrics are served')
  while (!(valueOf(await page(), TROUBLE) > 2)) await sleep(20)
  t.equal(logged.length, 1, 'logged once')
  t.match(logged[0]?.err, why)
  return started
}

t.test('a directory that is missing is made, for its owner alone', async (t) => {
  const dir = join(await temporaryFolder(t, 'p'), 'a', 'b')
  const { page } = await start(t, dir)
  t.match(await page(), 'metrics_processes{state="live"} 1')
  t.equal(execFileSync('stat', ['-c', '%a', dir], { encoding: 'utf8' }), '700\n')
  for (const file of await readdir(dir)) if (file.endsWith('.snap')) t.equal(execFileSync('stat', ['-c', '%a', join(dir, file)], { encoding: 'utf8' }), '600\n')
})

t.test('a file, a link, others that may write, and a path that is too long', async (t) => {
  const folder = await temporaryFolder(t, 'p')
  await writeFile(join(folder, 'file'), '')
  await alone(t, join(folder, 'file'), /it is no directory; give a directory/)
  await mkdir(join(folder, 'real'), { mode: 0o700 })
  await symlink(join(folder, 'real'), join(folder, 'link'))
  await alone(t, join(folder, 'link'), /it is no directory; give a directory/)
  await mkdir(join(folder, 'open'))
  await chmod(join(folder, 'open'), 0o777)
  const { page } = await alone(t, join(folder, 'open'), /others may write to it; run: chmod 700/)
  await chmod(join(folder, 'open'), 0o700)
  while (!/metrics_processes\{state="live"\} 1/.test(await page())) await sleep(20)
  t.pass('mended, it is used')
  await alone(t, join(folder, 'x'.repeat(100)), /bytes too long for a Unix socket; give a shorter one/)
})

t.test('a directory that is removed while everything runs is made again, and nothing of those who live is lost', async (t) => {
  const dir = join(await temporaryFolder(t, 'p'), 'a')
  const one = await start(t, dir)
  const two = await start(t, dir)
  t.equal(valueOf(await one.page(), WALKS), 2)
  await removeFolder(dir)
  t.equal(valueOf(await one.page(), WALKS), 1, 'itself, meanwhile')
  const isWhole = (page: string) => valueOf(page, WALKS) === 2 && page.includes('metrics_processes{state="live"} 2\n')
  while (!isWhole(await one.page()) || !isWhole(await two.page())) await sleep(20)
})

t.test('files that are foreign, cut off and changed are left out', async (t) => {
  const dir = join(await temporaryFolder(t, 'p'), 'a')
  const one = await start(t, dir)
  await writeFile(join(dir, 'README'), 'not ours')
  await mkdir(join(dir, 'folder.snap'))
  await writeFile(join(dir, `${'x'.repeat(16)}.snap`), 'fpsnap, and more')
  await writeFile(join(dir, `${'y'.repeat(16)}.snap`), '')
  await mkdir(join(dir, `${'z'.repeat(16)}.snap`))
  await writeFile(join(dir, 'ledger-x.snap'), '')
  t.equal(valueOf(await one.page(), WALKS), 1)
  const two = await start(t, dir)
  t.equal(valueOf(await two.page(), WALKS), 2)
  t.ok((await readdir(dir)).includes('README'), 'nothing of others is removed')
})

t.test('a ledger that is cut off or changed loses what the ended had counted, and nothing else', async (t) => {
  const flipped = (bytes: Buffer, at: number) => bytes.fill((bytes.at(at) as number) ^ 1, at, at + 1)
  for (const damage of [(bytes: Buffer) => bytes.subarray(0, 40), (bytes: Buffer) => flipped(bytes, bytes.length - 9), (bytes: Buffer) => flipped(bytes, 70)]) {
    const dir = join(await temporaryFolder(t, 'p'), 'a')
    const [one, two, three] = [await start(t, dir), await start(t, dir), await start(t, dir)]
    await three.app.close()
    t.equal(valueOf(await two.page(), WALKS), 3, 'a process whose application has closed goes on')
    await start(t, dir)
    while (!(await one.page()).includes('metrics_processes{state="ended"} 1') || (await readdir(dir)).some((name) => name.endsWith('.last.snap'))) await sleep(20)
    t.equal(valueOf(await two.page(), WALKS), 4, 'another application takes its place')
    const ledger = (await readdir(dir)).find((name) => name.startsWith('ledger')) ?? ''
    await writeFile(join(dir, ledger), damage(await readFile(join(dir, ledger))))
    t.equal(valueOf(await one.page(), WALKS), 3)
    while (!/^process_resident_memory_bytes\{process="1"\}/m.test(await two.page()) || !/^process_resident_memory_bytes\{process="0"\}/m.test(await two.page())) await sleep(20)
    t.equal(valueOf(await two.page(), WALKS), 3)
    t.equal(one.logged.length, 1, `logged once: ${JSON.stringify(one.logged)}`)
    await one.app.close()
    t.equal(valueOf(await two.page(), WALKS), 3, 'a new ledger is kept')
    await two.app.close()
  }
})

const asRoot = { skip: process.getuid?.() === 0 ? false : 'only root can be somebody else' }
const mounting = { skip: await mayMount() ? false : 'this process may not mount a file system' }
const NOBODY = 65_534

t.test('a directory that belongs to somebody else', asRoot, async (t) => {
  const others = join(await temporaryFolder(t, 'p'), 'others')
  await mkdir(others, { mode: 0o700 })
  await chown(others, NOBODY, NOBODY)
  await alone(t, others, /it belongs to user 65534, and this process runs as user 0; give each user a directory of its own/)
})

t.test('a directory that is read-only', mounting, async (t) => {
  const readOnly = join(await temporaryFolder(t, 'p'), 'read-only')
  await mkdir(readOnly, { mode: 0o700 })
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro,mode=700', 'tmpfs', readOnly])
  t.teardown(() => { execFileSync('umount', ['-l', readOnly]) })
  await alone(t, readOnly, /it is read-only; give a directory elsewhere/)
})

t.test('somebody else on the machine can neither read nor write the numbers, nor ask for them, whatever the umask', asRoot, async (t) => {
  const folder = await temporaryFolder(t, 'p')
  await chmod(folder, 0o755)
  const before = process.umask(0)
  t.teardown(() => { process.umask(before) })
  for (const mode of [undefined, 0o755]) {
    const dir = join(folder, `mode-${mode}`)
    if (mode !== undefined) await mkdir(dir, { mode })
    const { page } = await start(t, dir)
    t.equal(valueOf(await page(), WALKS), 1)
    const names = await readdir(dir)
    t.ok(names.some((name) => name.endsWith('.sock')) && names.some((name) => name.startsWith('ledger')))
    const stranger = (...args: string[]) => spawnSync('env', ['-i', process.execPath, '-e', ...args], { uid: NOBODY, gid: NOBODY, encoding: 'utf8', cwd: '/' })
    for (const path of names.map((name) => join(dir, name))) {
      const tried = stranger(`const fs = require('node:fs')
for (const how of [() => fs.readFileSync(process.argv[1]), () => fs.appendFileSync(process.argv[1], 'x'), () => fs.rmSync(process.argv[1]), () => fs.writeFileSync(process.argv[1] + 'x', '')]) try { how(); console.log('done', String(how)) } catch {}
if (process.argv[1].endsWith('.sock')) require('node:net').connect(process.argv[1]).on('connect', () => { console.log('connected'); process.exit() }).on('error', () => {})`, path)
      t.same([tried.status, tried.stdout, tried.stderr], [0, '', ''], `${mode}: ${path.replace(/.*\//, '')}`)
    }
  }
})

t.test('a disk that is full', mounting, async (t) => {
  const dir = join(await temporaryFolder(t, 'p'), 'small')
  await mkdir(dir, { mode: 0o700 })
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k,mode=700', 'tmpfs', dir])
  t.teardown(() => { execFileSync('umount', ['-l', dir]) })
  const { page, app } = await start(t, dir)
  t.match(await page(), 'metrics_processes{state="live"} 1')
  await writeFile(join(dir, 'filler'), Buffer.alloc(200_000)).catch(() => {})
  await app.inject('/walk')
  while (!(valueOf(await page(), TROUBLE) > 1)) await sleep(20)
  t.equal(valueOf(await page(), WALKS), 2, 'what could not be written is on its own page')
  await rm(join(dir, 'filler'))
  await app.inject('/walk')
  while (valueOf(await page(), WALKS) !== 3) await sleep(20)
})
