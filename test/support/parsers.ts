import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from './program.js'

/** What has to be done where the parsers are not there. */
export const missing = 'no python3 with prometheus_client: apt-get install python3-prometheus-client'

/** Debian's packages are for Debian's own Python, which need not be the first on the PATH. */
const PYTHONS = ['python3', '/usr/bin/python3']
const SCRIPT = fileURLToPath(new URL('parse.py', import.meta.url))

/** A metric as an independent parser read it. */
export interface ParsedFamily {
  /** As OpenMetrics has it: that of a counter is without `_total`. */
  name: string
  type: string
  unit: string
  help: string
  samples: ParsedSample[]
}

export interface ParsedSample {
  /** As it stood on the page. */
  name: string
  labels: Record<string, string>
  value: number
  exemplar: ParsedExemplar | undefined
}

export interface ParsedExemplar {
  labels: Record<string, string>
  value: number
  timestamp: number
}

/** What the process answers, numbers as Python writes them. */
interface Answer {
  families?: Array<{
    name: string
    type: string
    unit: string
    help: string
    samples: Array<{
      name: string
      labels: Record<string, string>
      value: string
      exemplar: { labels: Record<string, string>, value: string, timestamp: string } | null
    }>
  }>
  error?: string
}

/** The parsers of Prometheus' Python library: a lenient one for the text format, and a strict one for OpenMetrics. */
export class Parsers {
  readonly #python: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>
  #last: Promise<unknown> = Promise.resolve()

  private constructor (python: ChildProcessWithoutNullStreams, lines: AsyncIterator<string>) {
    this.#python = python
    this.#lines = lines
  }

  /**
   * Starts the parsers; stopped at teardown.
   * @returns undefined where no Python has them: the test has failed with CI set, and is to be skipped elsewhere
   */
  static async start (t: Pick<Test, 'teardown' | 'fail'>): Promise<Parsers | undefined> {
    for (const command of PYTHONS) {
      const python = spawn(command, [SCRIPT])
      // One that is not there, or ends at once, has no first line.
      python.on('error', () => {})
      python.stdin.on('error', () => {})
      python.stderr.resume()
      const lines = linesOf(python.stdout)
      if ((await lines.next()).value !== 'ready') continue
      const parsers = new Parsers(python, lines)
      t.teardown(() => parsers.#stop())
      return parsers
    }
    if (process.env.CI) t.fail(missing)
    return undefined
  }

  /** @throws Error at the first thing that the format does not allow */
  async read (format: 'text' | 'openmetrics', page: string | Uint8Array): Promise<ParsedFamily[]> {
    const line = this.#last.then(() => this.#lines.next())
    this.#last = line
    this.#python.stdin.write(`${JSON.stringify({ format, page: Buffer.from(page).toString('base64') })}\n`)
    const { families, error = 'the parsers ended' } = JSON.parse((await line).value ?? '{}') as Answer
    if (families === undefined) throw new Error(error)
    return families.map(({ samples, ...family }) => ({
      ...family,
      samples: samples.map(({ name, labels, value, exemplar }) => ({
        name,
        labels,
        value: numberOf(value),
        exemplar: exemplar === null ? undefined : { labels: exemplar.labels, value: numberOf(exemplar.value), timestamp: numberOf(exemplar.timestamp) }
      }))
    }))
  }

  async #stop (): Promise<void> {
    const closed = once(this.#python, 'close')
    this.#python.stdin.end()
    await closed
  }
}

/** Lines that may be many megabytes long, which takes readline seconds. One is read before the next is asked for. */
async function * linesOf (stream: AsyncIterable<Buffer>): AsyncGenerator<string, undefined> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) {
    chunks.push(chunk)
    if (chunk.at(-1) === 10) yield Buffer.concat(chunks.splice(0)).toString().trimEnd()
  }
  return undefined
}

/** A number as Python writes it. */
function numberOf (text: string): number {
  return Number(text.replace('inf', 'Infinity'))
}
