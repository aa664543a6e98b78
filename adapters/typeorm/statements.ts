import { MYSQL } from './transaction-state.js'

const TEXT = /'(?:[^']|'')*'/
/** In MySQL a backslash in a string escapes the character after it. */
const MYSQL_TEXT = /'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"/
const REST = /"(?:[^"]|"")*"|`[^`]*`|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|[^;'"`$/-]+|[^;]/
const PARTS = new RegExp(`${TEXT.source}|${REST.source}|;`, 'g')
const MYSQL_PARTS = new RegExp(`${MYSQL_TEXT.source}|${REST.source}|;`, 'g')

/**
 * The statements of a text. A semicolon separates them unless it stands in a string, a name, a comment or the body of a
 * function.
 */
export function statementsOf (query: string, type: string): string[] {
  const statements = ['']
  for (const [part] of query.matchAll(MYSQL.has(type) ? MYSQL_PARTS : PARTS)) {
    if (part === ';') statements.push('')
    else statements[statements.length - 1] += part
  }
  return statements.filter((statement) => statement.trim() !== '')
}
