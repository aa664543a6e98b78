/**
 * A reader of OpenMetrics 2.0.0-rc0, written from its specification (https://prometheus.io/docs/specs/om/open_metrics_spec_2_0/), sections 'ABNF' and
 * 'MetricFamily Types'. It is strict: what the specification says MUST NOT be, and what Prometheus refuses beside, is an error.
 */

/** One family as it was read. */
export interface ReadFamily {
  readonly name: string
  readonly type: string
  readonly unit: string
  readonly help: string
  readonly samples: ReadSample[]
}

export interface ReadSample {
  readonly labels: ReadonlyArray<readonly [name: string, value: string]>
  readonly value: number | ReadHistogram | ReadSummary
  /** Seconds since the epoch. */
  readonly timestamp: number | undefined
  readonly start: number | undefined
  readonly exemplars: ReadonlyArray<{ labels: ReadonlyArray<readonly [string, string]>, value: number, timestamp: number }>
}

export interface ReadHistogram {
  readonly kind: 'histogram'
  readonly count: number
  readonly sum: number
  /** Of the classic buckets: bound and cumulative count; undefined where there are none. */
  readonly buckets: ReadonlyArray<readonly [bound: number, count: number]> | undefined
  readonly native: ReadNative | undefined
}

export interface ReadNative {
  readonly schema: number
  readonly zeroThreshold: number
  readonly zeroCount: number
  /** By index, the counts of populated buckets. */
  readonly negative: ReadonlyMap<number, number>
  readonly positive: ReadonlyMap<number, number>
  /** Whether some count of a bucket is written as a float, which makes it a histogram of floats for Prometheus. */
  readonly float: boolean
}

export interface ReadSummary {
  readonly kind: 'summary'
  readonly count: number
  readonly sum: number
  readonly quantiles: ReadonlyArray<readonly [quantile: number, value: number]>
}

const TYPES = ['counter', 'gauge', 'histogram', 'gaugehistogram', 'stateset', 'info', 'summary', 'unknown']
const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y
const LABEL_NAME = /[a-zA-Z_][a-zA-Z0-9_]*/y
const REAL = /[+-]?(?:\d+(?:\.\d*)?|\d*\.\d+)(?:e[+-]?\d+)?/iy
const NUMBER = /[+-]?inf(?:inity)?|nan|[+-]?(?:\d+(?:\.\d*)?|\d*\.\d+)(?:e[+-]?\d+)?/iy
const INTEGER = /[+-]?\d+/y
const NON_NEGATIVE = /\+?\d+/y

/** @throws Error that says where the page is wrong */
export function readOpenMetrics2 (page: Uint8Array): ReadFamily[] {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(page)
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  if (lines.pop() !== '# EOF') throw new Error('the page must end with # EOF')
  const families: Array<ReadFamily & { type: string, unit: string, help: string, said: Set<string> }> = []
  const names = new Set<string>()
  const family = (name: string) => {
    const last = families.at(-1)
    if (last?.name === name) return last
    if (names.has(name)) throw new Error(`family ${name} is interleaved or there twice`)
    names.add(name)
    const begun = { name, type: 'unknown', unit: '', help: '', samples: [], said: new Set<string>() }
    families.push(begun)
    return begun
  }
  for (const line of lines) {
    try {
      const cursor = new Cursor(line)
      if (line.startsWith('#')) {
        const kind = /^# (TYPE|UNIT|HELP) /.exec(line)?.[1]
        if (kind === undefined) throw new Error('a comment')
        cursor.skip(`# ${kind} `)
        const about = family(cursor.match(NAME, 'a metric name'))
        if (about.said.has(kind)) throw new Error(`${kind} is there twice`)
        if (about.samples.length > 0) throw new Error(`${kind} stands behind samples`)
        if (kind === 'TYPE' && about.said.size > 0) throw new Error('TYPE stands behind UNIT or HELP')
        about.said.add(kind)
        cursor.skip(' ')
        if (kind === 'HELP') about.help = cursor.escaped(true)
        else if (kind === 'UNIT') about.unit = cursor.match(/[a-zA-Z0-9_:]*/y, 'a unit')
        else about.type = cursor.match(/[a-z]+/y, 'a type')
        if (!TYPES.includes(about.type)) throw new Error('no such type')
        cursor.end()
      } else {
        const of = family(cursor.match(NAME, 'a metric name'))
        of.samples.push(readSample(cursor, of.type, of.name))
      }
    } catch (error) {
      throw new Error(`${String(error)}, in ${JSON.stringify(line.slice(0, 2000))}`)
    }
  }
  for (const { name, samples } of families) {
    const sets = samples.map(({ labels }) => JSON.stringify(labels.filter(([, value]) => value !== '').sort(([a], [b]) => a < b ? -1 : 1)))
    if (new Set(sets).size < sets.length) throw new Error(`family ${name} has a label set twice`)
  }
  return families.map(({ said, ...read }) => read)
}

function readSample (line: Cursor, type: string, name: string): ReadSample {
  const labels = line.at('{') ? line.labels() : []
  line.skip(' ')
  const value = line.at('{') ? readComposite(line, type) : line.number()
  if (typeof value === 'number') checkNumber(value, type, name)
  else checkComposite(value, type, labels)
  let timestamp: number | undefined
  let start: number | undefined
  if (line.at(' ') && !line.at(' st@') && !line.at(' #')) {
    line.skip(' ')
    timestamp = line.real()
  }
  if (line.at(' st@')) {
    line.skip(' st@')
    start = line.real()
  }
  if (start !== undefined && !['counter', 'histogram', 'summary'].includes(type)) throw new Error(`a ${type} has no start`)
  const exemplars = []
  while (line.at(' # ')) {
    line.skip(' # ')
    const labels = line.labels()
    line.skip(' ')
    const value = line.number()
    line.skip(' ')
    exemplars.push({ labels, value, timestamp: line.real() })
  }
  if (exemplars.length > 0 && !['counter', 'histogram'].includes(type)) throw new Error(`a ${type} has no exemplars`)
  line.end()
  return { labels, value, timestamp, start, exemplars }
}

function checkNumber (value: number, type: string, name: string): void {
  if (type === 'histogram' || type === 'summary' || type === 'gaugehistogram') throw new Error(`a ${type} has a composite value`)
  if (type === 'counter' && !(value >= 0)) throw new Error('a counter is a number from 0 on')
  if (type === 'info' && (value !== 1 || !name.endsWith('_info'))) throw new Error('an info is 1 and named so')
}

function checkComposite (value: ReadHistogram | ReadSummary, type: string, labels: ReadSample['labels']): void {
  if (value.kind !== type) throw new Error(`a ${type} has no ${value.kind} for its value`)
  const own = value.kind === 'summary' ? 'quantile' : 'le'
  if (labels.some(([label]) => label === own)) throw new Error(`a ${type} has no label ${own}`)
}

function readComposite (line: Cursor, type: string): ReadHistogram | ReadSummary {
  line.skip('{count:')
  const count = line.number()
  if (!(count >= 0 && count < Infinity)) throw new Error('a count is a number from 0 on')
  line.skip(',sum:')
  const sum = line.number()
  if (type === 'summary') {
    if (!Number.isInteger(count)) throw new Error('the count of a summary is whole')
    if (!(sum >= 0)) throw new Error('the sum of a summary is a number from 0 on')
    line.skip(',quantile:')
    const quantiles = line.list(() => [line.real(), line.colon(() => line.number())] as const)
    line.skip('}')
    for (const [i, [quantile, value]] of quantiles.entries()) {
      if (!(quantile >= 0 && quantile <= 1) || value < 0) throw new Error('a quantile is from 0 to 1, and its value from 0 on')
      if (i > 0 && quantile <= (quantiles[i - 1]?.[0] ?? 0)) throw new Error('quantiles grow')
    }
    return { kind: 'summary', count, sum, quantiles }
  }
  const native = line.at(',schema:') ? readNative(line) : undefined
  const buckets = line.at(',bucket:') ? readBuckets(line, count) : undefined
  line.skip('}')
  if (native === undefined && buckets === undefined) throw new Error('a histogram has buckets')
  if (native !== undefined && !native.float) {
    let total = native.zeroCount
    for (const side of [native.negative, native.positive]) for (const each of side.values()) total += each
    if (total !== count) throw new Error(`the native buckets count ${total} and the histogram ${count}`)
  }
  return { kind: 'histogram', count, sum, buckets, native }
}

function readBuckets (line: Cursor, count: number): ReadHistogram['buckets'] {
  line.skip(',bucket:')
  const buckets = line.list((i) => [i === 0 && line.at('-Inf:') ? (line.skip('-Inf'), -Infinity) : line.at('+Inf:') ? (line.skip('+Inf'), Infinity) : line.real(), line.colon(() => line.number())] as const)
  if (buckets.at(-1)?.[0] !== Infinity) throw new Error('the last bucket is +Inf')
  if (buckets.at(-1)?.[1] !== count) throw new Error('the bucket +Inf has the count')
  for (const [i, [bound, upTo]] of buckets.entries()) {
    const [below = -Infinity, before = 0] = i === 0 ? [] : buckets[i - 1] as readonly [number, number]
    if (i > 0 && !(bound > below)) throw new Error('bounds grow')
    if (!(upTo >= before)) throw new Error('buckets are cumulative')
  }
  return buckets
}

function readNative (line: Cursor): ReadNative {
  line.skip(',schema:')
  const schema = Number(line.match(INTEGER, 'a schema'))
  if (schema < -4 || schema > 8) throw new Error('a schema is from -4 to 8')
  line.skip(',zero_threshold:')
  const zeroThreshold = line.real()
  if (!(zeroThreshold >= 0)) throw new Error('a zero threshold is from 0 on')
  line.skip(',zero_count:')
  line.forgetFloats()
  const zeroCount = line.number()
  let float = line.floats
  const side = (name: string): ReadonlyMap<number, number> => {
    const counts = new Map<number, number>()
    if (!line.at(`,${name}_spans:`)) return counts
    line.skip(`,${name}_spans:`)
    const spans = line.list((i) => [Number(line.match(i === 0 ? INTEGER : NON_NEGATIVE, 'an offset')), line.colon(() => Number(line.match(NON_NEGATIVE, 'a length')))] as const)
    line.skip(`,${name}_buckets:`)
    const buckets = line.list(() => line.number())
    float ||= line.floats
    let index = 0
    let next = 0
    for (const [offset, length] of spans) {
      index += offset
      for (let i = 0; i < length; i++) counts.set(index++, buckets[next++] as number)
    }
    if (next !== buckets.length || spans.length === 0) throw new Error('the spans have other lengths than the buckets')
    for (const [i, count] of counts) if (count === 0) counts.delete(i)
    if (counts.size === 0) throw new Error('a side without populated buckets is left out')
    return counts
  }
  const negative = side('negative')
  const positive = side('positive')
  return { schema, zeroThreshold, zeroCount, negative, positive, float }
}

/** A place in a line. */
class Cursor {
  #at = 0
  /** Whether a number that was read since the last forgetFloats(), or in the last list, has a point or an exponent. */
  #float = false

  constructor (readonly line: string) {}

  at (text: string): boolean {
    return this.line.startsWith(text, this.#at)
  }

  skip (text: string): void {
    if (!this.at(text)) throw new Error(`expected ${JSON.stringify(text)} at ${this.#at}`)
    this.#at += text.length
  }

  match (pattern: RegExp, what: string): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.line)?.[0]
    if (found === undefined) throw new Error(`expected ${what} at ${this.#at}`)
    this.#at += found.length
    return found
  }

  number (): number {
    return this.#value(this.match(NUMBER, 'a number'))
  }

  real (): number {
    return this.#value(this.match(REAL, 'a real number'))
  }

  get floats (): boolean {
    return this.#float
  }

  forgetFloats (): void {
    this.#float = false
  }

  colon<T> (read: () => T): T {
    this.skip(':')
    return read()
  }

  /** What stands in square brackets. */
  list<T> (read: (i: number) => T): T[] {
    this.skip('[')
    this.#float = false
    const list: T[] = []
    while (!this.at(']')) {
      if (list.length > 0) this.skip(',')
      list.push(read(list.length))
    }
    this.skip(']')
    return list
  }

  labels (): Array<readonly [string, string]> {
    this.skip('{')
    const labels: Array<readonly [string, string]> = []
    while (!this.at('}')) {
      if (labels.length > 0) this.skip(',')
      const name = this.match(LABEL_NAME, 'a label name')
      if (labels.some(([other]) => other === name)) throw new Error(`label ${name} is there twice`)
      this.skip('="')
      labels.push([name, this.escaped(false)])
      this.skip('"')
    }
    this.skip('}')
    return labels
  }

  /** Text up to the end of the line, or to a quote. */
  escaped (toEnd: boolean): string {
    let text = ''
    while (this.#at < this.line.length && !this.at('"')) {
      let character = this.line[this.#at++] as string
      if (character === '\\') {
        const next = this.line[this.#at++]
        if (next !== 'n' && next !== '"' && next !== '\\') throw new Error('an escape that is none')
        character = next === 'n' ? '\n' : next
      }
      text += character
    }
    if (toEnd && this.#at < this.line.length) throw new Error('a quote that is not escaped')
    return text
  }

  end (): void {
    if (this.#at < this.line.length) throw new Error(`expected the end of the line at ${this.#at}`)
  }

  #value (text: string): number {
    this.#float ||= /[.e]/i.test(text) && !/inf/i.test(text)
    if (/inf/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
    return /nan/i.test(text) ? NaN : Number(text)
  }
}
