/** What a statement does: the closed set of values of the label `operation`. */
export type Operation = 'select' | 'insert' | 'update' | 'delete' | 'merge' | 'copy' | 'begin' | 'commit' | 'rollback' | 'ddl' | 'other'

/** Every operation. */
export const operations: readonly Operation[] =
  ['select', 'insert', 'update', 'delete', 'merge', 'copy', 'begin', 'commit', 'rollback', 'ddl', 'other']

const DOUBLE_QUOTE = 34
const DOLLAR = 36
const QUOTE = 39
const PAREN = 40
const END_PAREN = 41
const STAR = 42
const COMMA = 44
const DASH = 45
const SLASH = 47
const SEMICOLON = 59
const BACKSLASH = 92
const UNDERSCORE = 95
const LETTER_A = 97
const LETTER_E = 101
const BYTE_ORDER_MARK = 0xfeff

const VERBS: ReadonlyArray<readonly [Operation, string]> = [
  ['select', 'select values table'],
  ['insert', 'insert replace upsert'],
  ['update', 'update'],
  ['delete', 'delete'],
  ['merge', 'merge'],
  ['copy', 'copy'],
  ['begin', 'begin start'],
  ['commit', 'commit end'],
  ['rollback', 'rollback abort'],
  ['ddl', 'create alter drop truncate comment grant revoke reindex']
]

/** The verbs by their first letter: comparing in place costs a third of cutting the word out and looking it up. */
const BY_LETTER: Array<Array<{ verb: string, operation: Operation }>> = Array.from({ length: 26 }, () => [])
for (const [operation, verbs] of VERBS) {
  for (const verb of verbs.split(' ')) BY_LETTER[verb.charCodeAt(0) - LETTER_A]?.push({ verb, operation })
}

/** Statements that may follow a WITH clause. */
const AFTER_WITH = new Set<Operation>(['select', 'insert', 'update', 'delete', 'merge'])
/** A statement whose verb comes after so many characters is 'other', so that the time for a query stays bounded. */
const LIMIT = 65_536
/** Longest tag of a dollar quote; PostgreSQL's own limit for a name. */
const LONGEST_TAG = 63

/**
 * The operations found after a WITH: such a search reads most of the statement. Only short texts, and at most SEEN_MAX
 * of them.
 */
const seen = new Map<string, Operation>()
const SEEN_MAX = 500
const SEEN_LONGEST = 4096

/**
 * The operation of a statement: its first verb's, or after a WITH clause the main verb's. Never throws. It takes time
 * in proportion to the text before that verb.
 * @param sql one statement or several; the first one counts
 */
export function operationOf (sql: string): Operation {
  if (typeof sql !== 'string') return 'other'
  let at = 0
  for (;;) {
    const code = sql.charCodeAt(at)
    if (isLetter(code)) break
    if (isBlank(code) || code === PAREN || code === SEMICOLON) at++
    else if (isComment(sql, at, code)) at = endOfComment(sql, at)
    else return 'other'
    if (at >= LIMIT) return 'other'
  }
  return verbAt(sql, at) ?? (isWord(sql, at, 'with') ? mainOperation(sql, at + 4) : 'other')
}

/** The operation that the word at this place names, in upper or lower case. */
function verbAt (sql: string, at: number): Operation | undefined {
  const candidates = BY_LETTER[(sql.charCodeAt(at) | 32) - LETTER_A]
  if (candidates === undefined) return undefined
  for (const { verb, operation } of candidates) {
    if (isWord(sql, at, verb)) return operation
  }
  return undefined
}

/** Whether the word at this place is `word`, in upper or lower case. */
function isWord (sql: string, at: number, word: string): boolean {
  for (let i = 1; i < word.length; i++) {
    if ((sql.charCodeAt(at + i) | 32) !== word.charCodeAt(i)) return false
  }
  return (sql.charCodeAt(at) | 32) === word.charCodeAt(0) && !isWordPart(sql.charCodeAt(at + word.length))
}

function mainOperation (sql: string, from: number): Operation {
  if (sql.length > SEEN_LONGEST) return operationAfterWith(sql, from)
  let operation = seen.get(sql)
  if (operation === undefined) {
    operation = operationAfterWith(sql, from)
    if (seen.size >= SEEN_MAX) seen.clear()
    seen.set(sql, operation)
  }
  return operation
}

/**
 * The main statement's operation: the first verb outside parentheses that is not the name of a common table expression.
 * A statement with parentheses and no such verb is a select in parentheses, `WITH a AS (SELECT 1) (SELECT * FROM a)`.
 */
function operationAfterWith (sql: string, from: number): Operation {
  const length = Math.min(sql.length, LIMIT)
  let at = from
  let depth = 0
  let nameIsNext = true
  let parentheses = false
  while (at < length) {
    const code = sql.charCodeAt(at)
    if (isWordStart(code)) {
      const end = endOfWord(sql, at)
      if (depth === 0) {
        if (nameIsNext) {
          nameIsNext = isWord(sql, at, 'recursive')
        } else {
          const operation = verbAt(sql, at)
          if (operation !== undefined && AFTER_WITH.has(operation)) return operation
        }
      }
      at = end - at === 1 && (code | 32) === LETTER_E && sql.charCodeAt(end) === QUOTE ? endOfEscapeString(sql, end) : end
    } else if (code === QUOTE || code === DOUBLE_QUOTE) {
      if (depth === 0 && code === DOUBLE_QUOTE) nameIsNext = false
      at = indexAfter(sql, code === QUOTE ? "'" : '"', at + 1)
    } else if (code === DOLLAR) {
      at = endOfDollarQuote(sql, at)
    } else if (isComment(sql, at, code)) {
      at = endOfComment(sql, at)
    } else {
      if (code === PAREN) {
        depth++
        parentheses = true
      } else if (code === END_PAREN) {
        depth--
      } else if (code === COMMA && depth === 0) {
        nameIsNext = true
      }
      at++
    }
  }
  return parentheses && at >= sql.length ? 'select' : 'other'
}

function isBlank (code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13) || code === BYTE_ORDER_MARK
}

function isLetter (code: number): boolean {
  const lower = code | 32
  return lower >= 97 && lower <= 122
}

function isDigit (code: number): boolean {
  return code >= 48 && code <= 57
}

function isWordStart (code: number): boolean {
  return isLetter(code) || code === UNDERSCORE || code >= 128
}

/** Past the end of the text the code is NaN, which is no part of a word. */
function isWordPart (code: number): boolean {
  return isWordStart(code) || isDigit(code) || code === DOLLAR
}

function endOfWord (sql: string, start: number): number {
  let at = start + 1
  while (at < LIMIT && isWordPart(sql.charCodeAt(at))) at++
  return at
}

function isComment (sql: string, at: number, code: number): boolean {
  return (code === DASH && sql.charCodeAt(at + 1) === DASH) || (code === SLASH && sql.charCodeAt(at + 1) === STAR)
}

/** Block comments nest (PostgreSQL manual, 4.1.5). */
function endOfComment (sql: string, start: number): number {
  if (sql.charCodeAt(start) === DASH) return indexAfter(sql, '\n', start + 2)
  const length = Math.min(sql.length, LIMIT)
  let depth = 1
  let at = start + 2
  while (depth > 0 && at < length) {
    const code = sql.charCodeAt(at)
    const next = sql.charCodeAt(at + 1)
    if (code === STAR && next === SLASH) {
      depth--
      at += 2
    } else if (code === SLASH && next === STAR) {
      depth++
      at += 2
    } else {
      at++
    }
  }
  return at
}

function endOfEscapeString (sql: string, quote: number): number {
  const length = Math.min(sql.length, LIMIT)
  for (let at = quote + 1; at < length; at++) {
    const code = sql.charCodeAt(at)
    if (code === BACKSLASH) at++
    else if (code === QUOTE) return at + 1
  }
  return length
}

/** The end of `$tag$ ... $tag$`, or of a parameter's dollar sign (PostgreSQL manual, 4.1.2.4). */
function endOfDollarQuote (sql: string, start: number): number {
  let at = start + 1
  if (isDigit(sql.charCodeAt(at))) return at
  while (at - start <= LONGEST_TAG && (isWordStart(sql.charCodeAt(at)) || isDigit(sql.charCodeAt(at)))) at++
  if (sql.charCodeAt(at) !== DOLLAR) return at
  return indexAfter(sql, sql.slice(start, at + 1), at + 1)
}

/** The index after the next `mark`; the end of the text when there is none. */
function indexAfter (sql: string, mark: string, from: number): number {
  const found = sql.indexOf(mark, from)
  return found === -1 ? sql.length : found + mark.length
}
