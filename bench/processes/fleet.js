// The processes of one peer's program, and who asks them. All are gone when this process ends.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const HOST = '127.0.0.1'
export const WORKERS = 3
/** Seconds that Prometheus waits by default. */
export const SCRAPE_TIMEOUT = 10
const START_TIMEOUT = 30_000
/** So much is kept of what the processes say. */
const SAID = 2000
const PM2 = join(createRequire(import.meta.url).resolve('pm2/package.json'), '../bin/pm2-runtime')

const running = new Set()
process.on('exit', () => { for (const fleet of running) fleet.end() })
for (const [signal, code] of [['SIGHUP', 129], ['SIGINT', 130], ['SIGTERM', 143]]) process.on(signal, () => process.exit(code))

export class Fleet {
  /** What each process has counted that has not ended, and all of them together. */
  counted = new Map()
  total = 0
  /** What the processes said on stderr first. */
  said = ''
  folder = mkdtempSync(join(tmpdir(), 'peers-'))
  #peer
  #child

  /** Starts the program of a peer, or PM2 with it; all workers are up. */
  static async start (peer, { pm2 = false } = {}) {
    const fleet = new Fleet()
    running.add(fleet)
    fleet.#peer = peer
    const [port, metricsPort, ...ownPorts] = await freePorts(2 + WORKERS)
    fleet.ports = { shared: Array(WORKERS).fill(port), primary: [metricsPort], each: ownPorts, one: Array(WORKERS).fill(metricsPort) }
    const program = fileURLToPath(new URL(`peers/${peer.program}`, import.meta.url))
    const [command, ...args] = pm2
      ? [process.execPath, PM2, 'start', program, '--instances', String(WORKERS), '--name', 'peer']
      : [...peer.interpreter ?? [process.execPath], program]
    // A group of their own, so that one signal reaches all, also those that are stopped.
    fleet.#child = spawn(command, args, {
      detached: true,
      stdio: [pm2 ? 'ignore' : 'pipe', 'ignore', 'pipe'],
      env: {
        ...process.env,
        PORT: port,
        METRICS_PORT: metricsPort,
        OWN_PORTS: ownPorts.join(','),
        TMPDIR: fleet.folder,
        PROMETHEUS_MULTIPROC_DIR: fleet.subfolder('counted'),
        PM2_HOME: fleet.subfolder('pm2'),
        PM2_DISABLE_VERSION_CHECK: 'true'
      }
    })
    fleet.#child.stderr.setEncoding('utf8').on('data', (text) => { fleet.said = (fleet.said + text).slice(0, SAID) })
    await fleet.full()
    if (!pm2) for (const each of fleet.ports[peer.pages]) await fleet.#until(() => isOpen(each))
    return fleet
  }

  subfolder (name) {
    const path = join(this.folder, name)
    mkdirSync(path, { recursive: true })
    return path
  }

  /** Resolves when all workers answer, without those that have ended. */
  async full (ended) {
    const pids = new Set()
    await this.#until(async () => {
      const pid = await this.ask('/ready')
      if (pid !== ended) pids.add(pid)
      return pids.size === WORKERS
    })
    if (ended !== undefined && this.#peer.pages === 'each') for (const port of this.ports.each) await this.#until(() => isOpen(port))
  }

  /** Asks a worker for something, whichever gets it unless there is a connection. @returns its process id */
  async ask (path, connection) {
    return JSON.parse((await page(this.ports.shared[0], path, { agent: connection })).body).pid
  }

  /** Has the workers count, each the same number where connections stay. */
  async drive (requests) {
    const connections = this.#peer.closes ? [undefined] : await this.#connections()
    for (let i = 0; i < requests; i++) {
      const pid = await this.ask('/walk', connections[i % connections.length])
      this.counted.set(pid, (this.counted.get(pid) ?? 0) + 1)
    }
    for (const connection of connections) connection?.destroy()
    this.total += requests
    // What is counted when the response has ended comes after the answer.
    await sleep(5)
  }

  /** A connection to each worker, which stays with it. */
  async #connections () {
    const connections = new Map()
    await this.#until(async () => {
      const connection = new Agent({ keepAlive: true, maxSockets: 1 })
      const pid = await this.ask('/ready', connection)
      if (connections.has(pid)) connection.destroy()
      else connections.set(pid, connection)
      return connections.size === WORKERS
    })
    return [...connections.values()]
  }

  /** The process that has counted the most. */
  get busiest () {
    return [...this.counted].sort(([, one], [, other]) => other - one)[0][0]
  }

  signal (pid, signal) {
    process.kill(pid, signal)
  }

  /**
   * Scrapes as Prometheus does, all pages at once: one of each port, and as many as there are workers of a port that they share.
   * @returns of each page the seconds and the sum, or what was wrong
   */
  async scrape (from = this.#peer.pages, path = '/metrics') {
    return await Promise.all(this.ports[from].map(async (port) => {
      const start = performance.now()
      const answered = await page(port, path, { timeout: SCRAPE_TIMEOUT * 1000 }).catch((error) => ({ status: 0, body: error.message }))
      return { ...answered, seconds: (performance.now() - start) / 1000, sum: this.#sum(answered.body) }
    }))
  }

  #sum (text) {
    // A time may come after the value.
    const values = text.split('\n').filter((line) => this.#peer.series.test(line)).map((line) => Number(line.slice(line.lastIndexOf('}') + 1).trim().replace(/^[a-z]\S* /, '').split(' ')[0]))
    return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value)
  }

  async #until (holds) {
    const end = Date.now() + START_TIMEOUT
    for (;;) {
      try {
        if (await holds()) return
      } catch {
        // It is not there yet.
      }
      if (Date.now() > end || this.#child.exitCode !== null) throw new Error(`${this.#peer.program} is not there\n${this.said}`)
      await sleep(10)
    }
  }

  async stop () {
    const { exitCode, signalCode } = this.#child
    const exit = exitCode === null && signalCode === null ? once(this.#child, 'exit') : undefined
    this.#kill()
    await exit
    // The others of the group may take a moment.
    for (let i = 0; i < 20 && this.#kill(); i++) await sleep(10)
    this.end()
  }

  /** For the very end, when nobody can wait. */
  end () {
    this.#kill()
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    running.delete(this)
  }

  /** @returns whether there was somebody */
  #kill () {
    try {
      process.kill(-this.#child.pid, 'SIGKILL')
      return true
    } catch {
      return false
    }
  }
}

/** One page, on a connection of its own if none is given. */
function page (port, path, { agent = false, timeout = 5000 } = {}) {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'text/plain;version=0.0.4', 'x-prometheus-scrape-timeout-seconds': SCRAPE_TIMEOUT }
    const request = get({ host: HOST, port, path, headers, agent }, async (response) => {
      try {
        let body = ''
        for await (const chunk of response.setEncoding('utf8')) body += chunk
        resolve({ status: response.statusCode, body })
      } catch (error) {
        reject(error)
      }
    }).on('error', reject)
    const timer = setTimeout(() => request.destroy(new Error('timeout')), timeout)
    request.on('close', () => clearTimeout(timer))
  })
}

async function isOpen (port) {
  const socket = connect(port, HOST)
  try {
    await once(socket, 'connect')
    return true
  } finally {
    socket.destroy()
  }
}

/** Ports that nobody has at the moment. */
async function freePorts (count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, HOST))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map(async (server) => once(server.close(), 'close')))
  return ports
}
