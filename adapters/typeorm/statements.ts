import { MYSQL } from './transaction-state.js'

const TEXT = /'(?:[^']|'')*'/
/** In MySQL a backslash in a text hides what follows it. */
const MYSQL_TEXT = /'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"/
const REST = /"(?:[^"]|"")*"|`[^`]*`|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|[^;'"`$/-]+|[^;]/
const PARTS = new RegExp(`${TEXT.source}|${REST.source}|;`, 'g')
const MYSQL_PARTS = new RegExp(`${MYSQL_TEXT.source}|${REST.source}|;`, 'g')

/** The statements of a text, which semicolons separate that stand in no text, name, comment or body of a function. */
export function statementsOf (query: string, type: string): string[] {
  const statements = ['']
  for (const [part] of query.matchAll(MYSQL.has(type) ? MYSQL_PARTS : PARTS)) {
    if (part === ';') statements.push('')
    else statements[statements.length - 1] += part
  }
  return statements.filter((statement) => statement.trim() !== '')
}
