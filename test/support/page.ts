/** One line of a page of metrics. */
export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

/** A page of metrics in the text format, read by a parser that shares nothing with what wrote it. */
export class Page {
  readonly samples: Sample[] = []

  /** @throws Error at the first line that the format does not allow */
  constructor (readonly text: string) {
    for (const line of text.split('\n')) {
      if (line === '' || line.startsWith('#')) continue
      const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\]|\\["\\n])*",?)*)\})? (\S+)$/.exec(line)
      if (match === null) throw new Error(`not a line of the text format: ${line}`)
      const labels: Record<string, string> = {}
      for (const [, name, value] of (match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\["\\n])*)"/g)) {
        labels[name as string] = (value as string).replace(/\\(.)/g, (_, c) => c === 'n' ? '\n' : c)
      }
      this.samples.push({ name: match[1] as string, labels, value: Number((match[3] as string).replace('Inf', 'Infinity')) })
    }
  }

  /** The samples of a name that carry these labels. */
  of (name: string, labels: Record<string, string> = {}): Sample[] {
    return this.samples.filter((sample) => sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
  }

  /** Their sum, 0 where there are none. */
  sum (name: string, labels?: Record<string, string>): number {
    return this.of(name, labels).reduce((sum, { value }) => sum + value, 0)
  }

  /** The different values of a label under a name. */
  values (name: string, label: string): string[] {
    return [...new Set(this.of(name).map(({ labels }) => labels[label] as string))].sort()
  }
}
