import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { freePort } from '../support/postgres.js'
import { temporaryFolder } from '../support/temporary-folder.js'
import { valueOf } from './fleet.js'

/*
 * PM2, with nothing configured but `processes: true`: in its cluster mode the instances are workers of PM2's own daemon, in its fork mode they are its children.
 */
const PROGRAM = createRequire(import.meta.url).resolve('pm2/bin/pm2')
const APP = fileURLToPath(new URL('pm2.js', import.meta.url))

/** A PM2 of this test alone. @returns what runs a command of it, with variables for the app */
async function startPm2 (t: Test): Promise<(args: string, env?: Record<string, string>) => Promise<void>> {
  const home = await temporaryFolder(t, 'p')
  const environment = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: home, PM2_HOME: home, TMPDIR: home, PM2_DISCRETE_MODE: 'true', PM2_DISABLE_VERSION_CHECK: 'true' }
  // The daemon would outlive a test that is killed. So somebody ends it who outlives it, too: his input ends at teardown, or with this process.
  const guard = spawn('/bin/sh', ['-c', 'cat; exec "$0" "$@"', process.execPath, PROGRAM, 'kill'], { detached: true, stdio: ['pipe', 'ignore', 'ignore'], env: environment })
  t.teardown(async () => {
    const exit = once(guard, 'exit')
    guard.stdin.end()
    await exit
  })
  return async (args, env = {}) => { await promisify(execFile)(process.execPath, [PROGRAM, ...args.split(' ')], { env: { ...environment, ...env } }) }
}

/** Over a connection of its own, for each of which PM2 takes the next instance. */
async function read (port: number, path: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => { text += part }).on('end', () => resolve(text)).on('error', reject)
    }).on('error', reject)
  })
}

async function walk (port: number, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await read(port, '/walk')
}

async function look (port: number): Promise<{ walks: number, live: number, ended: number }> {
  const page = await read(port, '/metrics')
  const state = (name: string) => valueOf(page, new RegExp(`^metrics_processes\\{state="${name}"\\}`))
  return { walks: valueOf(page, /^http_request_duration_seconds_count\{.*route="\/walk"/), live: state('live'), ended: state('ended') }
}

/** PM2 does not wait until an app listens. */
async function up (port: number, live: number): Promise<void> {
  const began = Date.now()
  while ((await look(port).catch(() => undefined))?.live !== live) {
    if (Date.now() - began > 60_000) throw new Error(`there are never ${live} at port ${port}`)
    await sleep(50)
  }
}

/** Several pages, each of the next instance. */
async function all (t: Test, port: number, expected: Awaited<ReturnType<typeof look>>, what: string): Promise<void> {
  await up(port, expected.live)
  for (let i = 0; i < 4; i++) t.match(await look(port), expected, what)
}

t.test('the instances of an app answer as one in both modes of PM2, and nothing is lost when it reloads them', async (t) => {
  const pm2 = await startPm2(t)
  const [port, ...others] = [await freePort(), await freePort(), await freePort()]
  const config = `${await temporaryFolder(t, 'p')}/ecosystem.json`
  await writeFile(config, JSON.stringify({ apps: [{ name: 'trots', script: APP, exec_mode: 'fork', instances: 2, env: { PORTS: others.join() } }] }))
  // PM2 kills who has not ended in 1.6 seconds: on a machine that is busy that may be too early.
  await pm2(`start ${APP} -i 3 --name walks --kill-timeout 30000`, { PORTS: String(port) })
  await pm2(`start ${config}`)
  await Promise.all([up(port, 3), ...others.map((other) => up(other, 2))])
  const pids = new Set<string>()
  let sent = 0
  for (; sent < 30 || pids.size < 3; sent++) pids.add(await read(port, '/walk'))
  for (const [i, other] of others.entries()) await walk(other, i + 2)
  await all(t, port, { walks: sent, live: 3, ended: 0 }, 'whichever answers')
  for (const other of others) t.match(await look(other), { walks: 5, live: 2, ended: 0 }, 'an app of another name, in fork mode, has its own alone')

  const before = sent
  let [answered, least] = [sent, sent]
  const wrong: string[] = []
  const over = new AbortController()
  const visit = async () => {
    while (!over.signal.aborted) {
      sent++
      await read(port, '/walk').then(() => { answered++ }, async ({ code }: NodeJS.ErrnoException) => {
        // PM2 may end the old ones before the new ones listen.
        if (code === 'ECONNREFUSED') sent--
        await sleep(20)
      })
      const seen = await look(port).catch(() => undefined)
      if (seen === undefined) continue
      if (seen.walks < least || seen.walks > sent) wrong.push(`${seen.walks} after ${least}, when ${sent} were sent`)
      least = Math.max(least, seen.walks)
    }
  }
  const visiting = visit()
  await pm2('reload walks')
  over.abort()
  await visiting
  t.same(wrong, [])
  t.ok(answered > before, 'there were requests meanwhile')
  await up(port, 3)
  const { walks } = await look(port)
  t.ok(walks >= answered && walks <= sent, `${walks}, when ${answered} of ${sent} were answered`)
  await all(t, port, { walks, live: 3, ended: 3 }, 'the new generation goes on where the old one was')

  await pm2('stop walks')
  for (const other of others) t.match(await look(other), { walks: 5, live: 2, ended: 0 }, 'the other app has seen nothing of it')
  await pm2('start walks')
  await up(port, 3)
  await walk(port, 4)
  await all(t, port, { walks: walks + 4, live: 3, ended: 6 }, 'stopped and started')
})
