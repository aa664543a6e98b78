import type { Operation } from '../../src/adapter.js'

/** TypeORM's result when a caller asks for a structured one. */
interface QueryResult {
  readonly raw: unknown
  readonly records: unknown
  readonly affected?: unknown
}

const CHANGES = new Set<Operation>(['insert', 'update', 'delete', 'merge'])

/**
 * The rows that a query returned or changed; undefined when the driver does not say.
 * @param result the result of a query runner: TypeORM's QueryResult, or the driver's own, an array of rows or mysql2's
 * ResultSetHeader
 */
export function rowsOf (operation: Operation, result: unknown): number | undefined {
  if (!isQueryResult(result)) return rowsOfRaw(operation, result)
  const { raw, records, affected } = result
  if (Array.isArray(records) && records.length > 0) return rowsOfRaw(operation, records)
  if (operation === 'select') return Array.isArray(records) ? 0 : undefined
  // For any other statement, sql.js gives the number of the change before it.
  if (CHANGES.has(operation) && typeof affected === 'number') return affected
  return rowsOfRaw(operation, raw)
}

/**
 * Whether the value is TypeORM's QueryResult. A process may hold the same version twice, so the class does not tell.
 */
export function isQueryResult (value: unknown): value is QueryResult {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && 'raw' in value && 'records' in value
}

function rowsOfRaw (operation: Operation, raw: unknown): number | undefined {
  if (Array.isArray(raw)) {
    // Several statements, or a procedure that selects: mysql2 gives an array of results.
    if (Array.isArray(raw[0]) || isHeader(raw[0])) return raw.reduce<number>((sum, each) => sum + (rowsOfRaw(operation, each) ?? 0), 0)
    return operation === 'select' || raw.length > 0 ? raw.length : undefined
  }
  return isHeader(raw) ? raw.affectedRows : undefined
}

/**
 * Whether the value is mysql2's ResultSetHeader. A row may have a column `affectedRows`, but not the other two fields
 * as well.
 */
function isHeader (value: unknown): value is { readonly affectedRows: number } {
  if (typeof value !== 'object' || value === null || !('affectedRows' in value && 'insertId' in value && 'serverStatus' in value)) return false
  return typeof value.affectedRows === 'number'
}
