import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { temporaryFolder } from '../support/temporary-folder.js'

/** A worker of service.js. */
export interface Worker {
  readonly pid: number
  readonly url: string
}

/** service.js, running. */
export class Fleet {
  readonly dir: string
  /** What workers listen on by their primary. */
  readonly shared: string[] = []
  readonly #child: ChildProcess
  readonly #workers = new Map<number, Worker>()

  private constructor (child: ChildProcess, dir: string) {
    this.#child = child
    this.dir = dir
  }

  /** Starts it with so many workers; all are up. @param flushInterval milliseconds */
  static async start (t: Test, workers: number, flushInterval: number, given?: string, ...more: string[]): Promise<Fleet> {
    const dir = given ?? await temporaryFolder(t, 'fleet')
    const child = spawn(process.execPath, [fileURLToPath(new URL('service.js', import.meta.url)), dir, String(workers), String(flushInterval), ...more], { stdio: ['ignore', 'pipe', 'inherit'] })
    const fleet = new Fleet(child, dir)
    t.teardown(() => fleet.stop())
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const [up, pid, port] = line.split(' ')
      if (up === 'shared') fleet.shared.push(line)
      if (up === 'up') fleet.#workers.set(Number(pid), { pid: Number(pid), url: `http://127.0.0.1:${port}` })
    })
    await fleet.full(workers)
    return fleet
  }

  /** Those that are up. */
  get workers (): readonly Worker[] {
    return [...this.#workers.values()]
  }

  async full (workers: number): Promise<void> {
    while (this.#workers.size < workers) {
      if (this.#child.exitCode !== null) throw new Error(`the fleet ended with ${this.#child.exitCode}`)
      await sleep(20)
    }
  }

  /** Sends a signal. After SIGKILL and SIGTERM the worker is none of the fleet's any more. */
  signal ({ pid }: Worker, signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(pid, signal)
    if (signal === 'SIGKILL' || signal === 'SIGTERM') this.#workers.delete(pid)
  }

  async stop (): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await exit
  }
}

/** The value of a series on a page; the sum if there are several. NaN if there is none. */
export function valueOf (page: string, pattern: RegExp): number {
  const values = page.split('\n').filter((line) => pattern.test(line)).map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)))
  return values.length === 0 ? NaN : values.reduce((sum, value) => sum + value)
}
