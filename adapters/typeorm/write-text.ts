import type { Operation } from '../../src/adapter.js'

/** What a statement does to rows, read from the start of its text. */
export type Verb = 'insert' | 'update' | 'delete'

/** The facts that are read from the text of a statement that writes rows. */
export interface WriteText {
  /** In lower case and without quotes; undefined when the text begins with a WITH. */
  readonly table: string | undefined
  /**
   * The operation that the text looks like: an update of a query builder may be another operation. 'tree' is how nested
   * sets move the rows around a changed row.
   */
  readonly looks: Verb | 'softDelete' | 'restore' | 'tree'
  /** What an insert does with a row that exists already; undefined when it fails there. */
  readonly conflict: 'update' | 'nothing' | undefined
}

const NAME = String.raw`(?:"(?:[^"]|"")*"|\`(?:[^\`]|\`\`)*\`|\[[^\]]*\]|[\w$]+)`
const BLANK = String.raw`(?:\s|/\*[\s\S]*?\*/|--[^\n]*\n)*`
const STATEMENT = new RegExp(
  `^${BLANK}(?:(?:insert|upsert|replace)\\b[\\w\\s]*?\\binto|merge\\s+into|update|delete\\s+from)\\s+(${NAME}(?:\\.${NAME}?)*)` +
  `(?:\\s+set\\s+${NAME}\\s*=\\s*(current_timestamp|null|case)\\b)?`, 'i')
const PREFIX = new RegExp(`^${BLANK}(?:(upsert|insert\\s+or\\s+update|merge)|insert\\s+(?:or\\s+)?ignore)\\b`, 'i')

/**
 * The texts read before: TypeORM writes the same texts again and again. Only short texts, and at most SEEN_MAX of them.
 */
const seen = new Map<string, WriteText>()
const SEEN_MAX = 500
const SEEN_LONGEST = 2048

/** Reads a statement in the form that TypeORM writes. */
export function writeTextOf (query: string, verb: Verb): WriteText {
  if (query.length > SEEN_LONGEST) return read(query, verb)
  let text = seen.get(query)
  if (text === undefined) {
    text = read(query, verb)
    if (seen.size >= SEEN_MAX) seen.clear()
    seen.set(query, text)
  }
  return text
}

function read (query: string, verb: Verb): WriteText {
  const [, path, value] = STATEMENT.exec(query) ?? []
  return {
    table: path === undefined ? undefined : path.replace(/["`[\]]/g, '').toLowerCase(),
    looks: looksOf(verb, value),
    conflict: verb === 'insert' ? conflictOf(query) : undefined
  }
}

/** What a statement does to rows; undefined for a statement that writes no rows. */
export function verbOf (operation: Operation): Verb | undefined {
  if (operation === 'merge') return 'insert'
  return operation === 'insert' || operation === 'update' || operation === 'delete' ? operation : undefined
}

function looksOf (verb: Verb, value: string | undefined): WriteText['looks'] {
  switch (value?.toLowerCase()) {
    case 'null': return 'restore'
    case 'current_timestamp': return 'softDelete'
    case 'case': return 'tree'
    default: return verb
  }
}

function conflictOf (query: string): WriteText['conflict'] {
  const prefix = PREFIX.exec(query)
  if (prefix !== null) return prefix[1] === undefined || (prefix[1].toLowerCase() === 'merge' && !query.includes('WHEN MATCHED')) ? 'nothing' : 'update'
  if (query.includes(' ON DUPLICATE KEY UPDATE ')) return 'update'
  const at = query.indexOf(' ON CONFLICT')
  if (at === -1) return undefined
  return /\bdo\s+update\b/i.test(query.slice(at)) ? 'update' : 'nothing'
}
