import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const docs = fileURLToPath(new URL('../../docs', import.meta.url))

/** The languages of blocks that somebody has to run. */
export const CODE = ['js', 'ts', 'sh', 'sql', 'yaml', 'json', 'ini']

/** A page in Markdown. */
export class Guide {
  readonly text: string
  /** Its fenced blocks, in their order. */
  readonly blocks: ReadonlyArray<{ language: string, code: string }>
  /** Those that a test has taken. */
  readonly #taken = new Set<string>()

  constructor (readonly file: string) {
    this.text = readFileSync(file, 'utf8')
    this.blocks = [...this.text.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, language = '', code = '']) => ({ language, code }))
  }

  /** The one block of a language that holds a mark, which is taken with that. @throws Error where there is none or more */
  code (language: string, mark: string): string {
    const found = this.blocks.filter((block) => block.language === language && block.code.includes(mark))
    if (found.length !== 1) throw new Error(`${basename(this.file)} has ${found.length} blocks of ${language} with '${mark}'`)
    const { code } = found[0] as { code: string }
    this.#taken.add(code)
    return code
  }

  /** The blocks of some languages that were not taken. */
  untaken (languages: readonly string[]): string[] {
    return this.blocks.filter(({ language, code }) => languages.includes(language) && !this.#taken.has(code)).map(({ code }) => code)
  }

  of (language: string): string[] {
    return this.blocks.filter((block) => block.language === language).map(({ code }) => code.trim())
  }

  /** What stands outside blocks. */
  get prose (): string {
    return this.#unfenced.replace(/^ {4}.*$/gm, '')
  }

  /** Code within the prose. */
  get inline (): string[] {
    return [...this.prose.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code)
  }

  /** The number that the first group of a pattern matches, as a page writes it: 1,780. @throws Error where nothing matches */
  number (pattern: RegExp): number {
    const match = pattern.exec(this.text)
    if (match === null) throw new Error(`${basename(this.file)} says nothing like ${pattern}`)
    return Number(match[1]?.replaceAll(',', ''))
  }

  /** The cells of the rows of the table with that head. @throws Error where there is none */
  table (...head: string[]): string[][] {
    const lines = this.text.split('\n')
    const start = lines.findIndex((line) => line === `|${head.map((cell) => cell === '' ? ' |' : ` ${cell} |`).join('')}`)
    if (start < 0) throw new Error(`${basename(this.file)} has no table with ${head.join(', ')}`)
    const rows = []
    for (const line of lines.slice(start + 2)) {
      if (!line.startsWith('|')) break
      rows.push(line.split('|').slice(1, -1).map((cell) => cell.trim()))
    }
    return rows
  }

  /** The anchors that GitHub makes of its headings. */
  get anchors (): string[] {
    const seen = new Map<string, number>()
    return [...this.#unfenced.matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading = '']) => {
      const slug = heading.replace(/`|\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-')
      const count = seen.get(slug) ?? 0
      seen.set(slug, count + 1)
      return count === 0 ? slug : `${slug}-${count}`
    })
  }

  get #unfenced (): string {
    return this.text.replace(/^```[^]*?^```$/gm, '')
  }
}

/** The pages of docs/ by the names of their files. */
export const guides: Readonly<Record<string, Guide>> = Object.fromEntries(readdirSync(docs).filter((file) => file.endsWith('.md')).map((file) => [file, new Guide(join(docs, file))]))

/** A page of docs/. @param name of its file, without .md */
export function guide (name: string): Guide {
  const found = guides[`${name}.md`]
  if (found === undefined) throw new Error(`there is no docs/${name}.md`)
  return found
}

/** Asserts that this process has taken every block of code of some pages. test/ops/docs-references.test.ts looks for who calls it with which. */
export function everyBlockIsTaken (t: { same: (found: unknown, wanted: unknown, message: string) => unknown }, names: readonly string[]): void {
  for (const name of names) t.same(guide(name).untaken(CODE), [], `no block of ${name}.md that nobody runs`)
}
