import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const main = join(root, 'examples/dog-walking/dist/main.js')
const running = new Set<ChildProcess>()
process.once('exit', () => { for (const child of running) child.kill('SIGKILL') })

/** Compiles the dog-walking service, and what it stands on. */
export async function buildDemo (): Promise<void> {
  await promisify(execFile)(process.execPath, ['node_modules/typescript/bin/tsc', '-b', 'examples/dog-walking'], { cwd: root })
}

/** The demo as a process of its own, with nothing of this one's environment but where programs and temporary files are. */
export class Demo {
  readonly child: ChildProcess
  /** Its exit code, null where a signal ended it. */
  readonly exit: Promise<number | null>
  out = ''
  err = ''
  readonly #watchers = new Set<() => void>()

  constructor (args: string[] = [], env: Record<string, string> = {}) {
    const { PATH = '', HOME = '' } = process.env
    this.child = spawn(process.execPath, [main, ...args], { env: { PATH, HOME, TMPDIR: tmpdir(), ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    running.add(this.child)
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => { this.out += text; this.#tell() })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.err += text })
    this.exit = once(this.child, 'close').then(([code]) => {
      running.delete(this.child)
      this.#tell()
      return code as number | null
    })
  }

  /** What the first group of a pattern matched, as soon as it was printed. */
  async printed (pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.out)
      if (match !== null) return match[1] ?? match[0]
      if (!running.has(this.child)) throw new Error(`it ended without printing ${pattern}:\n${this.out}${this.err}`)
      await new Promise<void>((resolve) => this.#watchers.add(resolve))
    }
  }

  address (): Promise<string> {
    return this.printed(/listening (?:on|at) (http:\/\/[\w.:]+\d)/)
  }

  folder (): Promise<string> {
    return this.printed(/its files are in (\S+)\n/)
  }

  /** Sends a signal to it and to what it has started, as a Ctrl-C in a terminal does. */
  signal (signal: NodeJS.Signals): void {
    process.kill(-(this.child.pid as number), signal)
  }

  #tell (): void {
    for (const resolve of this.#watchers) resolve()
    this.#watchers.clear()
  }
}
