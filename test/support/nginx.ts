import { once } from 'node:events'
import { watch } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './postgres.js'
import { startProgram, type Test } from './program.js'
import { temporaryFolder } from './temporary-folder.js'

/** The chart's nginx, and what it is to stand before. */
export interface NginxSettings {
  /**
   * nginx.conf as the chart renders it: its port, its upstream and its paths are replaced by the test's own, and
   * nothing else.
   */
  readonly conf: string
  /** The key 'htpasswd' of the Secret. */
  readonly htpasswd: string
  /** Where the service listens on 127.0.0.1. */
  readonly upstreamPort: number
}

export interface Nginx {
  readonly url: string
  readonly port: number
  /** The lines of its error log so far. */
  readonly errors: readonly string[]
  /**
   * The lines of its access log for the requests so far. nginx answers before it writes a line, and writes the lines in
   * the order of the requests: so it is asked for one thing more, whose line is the last and is left out.
   */
  accesses (): Promise<string[]>
  /** Puts another htpasswd in the place of the one there is. */
  setHtpasswd (text: string): Promise<void>
}

/** The folders for what nginx cannot hold in memory. */
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/**
 * Starts the nginx of the PATH with the chart's nginx.conf on a free port of the loopback interface; stopped at
 * teardown, and its files removed.
 * @returns undefined where there is none: the test has failed with CI set, else it is skipped
 */
export async function startNginx (t: Test, { conf, htpasswd, upstreamPort }: NginxSettings): Promise<Nginx | undefined> {
  const folder = await temporaryFolder(t, 'nginx')
  const passwords = join(folder, 'htpasswd')
  const log = join(folder, 'access.log')
  await writeFile(passwords, htpasswd)
  const running = await runNginx(t, folder, (port) => replaceEach(conf, [
    ['listen 8080;', `listen 127.0.0.1:${port};`],
    ['server 127.0.0.1:3000;', `server 127.0.0.1:${upstreamPort};`],
    ['auth_basic_user_file /etc/nginx/auth/htpasswd;', `auth_basic_user_file ${passwords};`],
    ['access_log /dev/stdout json if=$logged;', `access_log ${log} json if=$logged;`],
    ['pid /tmp/nginx.pid;', `pid ${folder}/nginx.pid;`],
    ...TEMPORARY.map((name): [string, string] => [`${name}_temp_path /tmp/${name};`, `${name}_temp_path ${folder}/${name};`])
  ]))
  const url = `http://127.0.0.1:${running?.port}`
  let asked = 0
  return running && {
    ...running,
    url,
    accesses: async () => {
      const last = `/until-here-${++asked}`
      await (await fetch(url + last)).text()
      return (await linesUntil(log, last)).filter((line) => !line.includes('/until-here-'))
    },
    setHtpasswd: (text) => writeFile(passwords, text)
  }
}

/**
 * Starts the nginx of the PATH with servers of a test's own; stopped at teardown, and its files removed.
 * @param servers what stands in 'http { }', for a free port of the loopback interface
 * @returns undefined where there is none: the test has failed with CI set, else it is skipped
 */
export async function startProxy (t: Test, servers: (port: number) => string): Promise<Pick<Nginx, 'port' | 'errors'> | undefined> {
  const folder = await temporaryFolder(t, 'nginx')
  const paths = TEMPORARY.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')
  return await runNginx(t, folder, (port) => `pid ${folder}/nginx.pid;\nerror_log stderr warn;\nevents {}\nhttp {\n${paths}\naccess_log off;\n${servers(port)}\n}\n`)
}

/** The lines of a file, once one of them has a text. */
async function linesUntil (file: string, text: string): Promise<string[]> {
  const watcher = watch(file)
  try {
    while (true) {
      const changed = once(watcher, 'change')
      const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1)
      if (lines.some((line) => line.includes(text))) return lines
      await changed
    }
  } finally {
    watcher.close()
  }
}

async function runNginx (t: Test, folder: string, conf: (port: number) => string): Promise<Pick<Nginx, 'port' | 'errors'> | undefined> {
  const port = await freePort()
  const file = join(folder, 'nginx.conf')
  await writeFile(file, conf(port))
  // One process: its workers would outlive a master that is killed.
  const args = ['-e', 'stderr', '-c', file, '-g', 'daemon off; master_process off;']
  const child = await startProgram(t, 'nginx', args, 'apt-get install nginx-light', { stdio: ['ignore', 'ignore', 'pipe'] })
  if (child === undefined) return undefined
  const errors: string[] = []
  const lines = createInterface(child.stderr as NodeJS.ReadableStream).on('line', (line) => errors.push(line))
  const ended = once(lines, 'close').then(() => { throw new Error(`nginx did not start:\n${errors.join('\n')}`) })
  await Promise.race([accepting(port), ended])
  // From now on its end is its own affair.
  ended.catch(() => {})
  return { port, errors }
}

/** The header that says who asks, as nginx takes it. */
export function credentials (user: string, password: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
}

/** @throws Error for what does not stand there exactly once */
function replaceEach (text: string, pairs: ReadonlyArray<readonly [from: string, to: string]>): string {
  return pairs.reduce((result, [from, to]) => {
    const parts = result.split(from)
    if (parts.length !== 2) throw new Error(`nginx.conf has '${from}' ${parts.length - 1} times, not once`)
    return parts.join(to)
  }, text)
}

/** nginx tells nobody when it listens. */
async function accepting (port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch {
      await sleep(20)
    } finally {
      socket.destroy()
    }
  }
}
