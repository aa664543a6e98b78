import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** What a test is to whoever starts a process for it. */
interface Test {
  teardown (fn: () => unknown): void
}

export interface UnitOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Default: Node, with a program of this folder. */
  readonly program?: string
  /** Where its errors go. Default: where those of the test go. */
  readonly errors?: 'inherit' | 'ignore'
}

/** A process that nobody forked: it has no channel to who started it, and a process group of its own. */
export class Unit {
  /** The words of the first line that it said, but the first. */
  words: readonly string[] = []
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  /** It, and all that it has started, have ended. */
  readonly #end: Promise<unknown>

  private constructor (child: ChildProcess) {
    this.#child = child
    this.#end = once(child, 'close')
    this.#lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  }

  /** Starts it; it is up. It is killed at teardown, and ends when its input does. */
  static async start (t: Test, args: readonly string[], { env, program, errors = 'inherit' }: UnitOptions = {}): Promise<Unit> {
    const [file = '', ...others] = args
    const own = program === undefined ? [fileURLToPath(new URL(file, import.meta.url)), ...others] : args
    const child = spawn(program ?? process.execPath, own, {
      detached: true, stdio: ['pipe', 'pipe', errors], env: { ...process.env, FASTIFY_PROMETHEUS_PROCESSES: undefined, ...env }
    })
    const unit = new Unit(child)
    t.teardown(() => unit.kill())
    unit.words = (await unit.line()).split(' ').slice(1)
    return unit
  }

  get pid (): number {
    return this.#child.pid as number
  }

  /** The next line that it says. */
  async line (): Promise<string> {
    const { value, done } = await this.#lines.next()
    if (done === true) throw new Error(`${this.#child.spawnargs.join(' ')} has ended`)
    return value
  }

  /** @returns what it answers to a line */
  async tell (line: string): Promise<string> {
    this.#child.stdin?.write(`${line}\n`)
    return await this.line()
  }

  /** It ends by itself. @param line that makes it do so */
  async end (line: string): Promise<void> {
    this.#child.stdin?.write(`${line}\n`)
    await this.#end
  }

  /** A signal ends it. */
  async signal (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#child.kill(signal)
    await this.#end
  }

  /** It and all that it has started. */
  async kill (): Promise<void> {
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch { /* they are gone */ }
    await this.#end
  }
}
