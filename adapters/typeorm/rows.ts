import type { Operation } from '../../src/database/operation.js'

/** What TypeORM gives to those who ask for a structured result. */
interface QueryResult {
  readonly raw: unknown
  readonly records: unknown
  readonly affected?: unknown
}

const CHANGES = new Set<Operation>(['insert', 'update', 'delete', 'merge'])

/**
 * How many rows a query gave back or changed, where the driver says so.
 * @param result what a query runner gave: TypeORM's QueryResult, or the driver's own, an array of rows, mysql2's ResultSetHeader
 */
export function rowsOf (operation: Operation, result: unknown): number | undefined {
  if (!isQueryResult(result)) return rowsOfRaw(operation, result)
  const { raw, records, affected } = result
  if (Array.isArray(records) && records.length > 0) return rowsOfRaw(operation, records)
  if (operation === 'select') return Array.isArray(records) ? 0 : undefined
  // sql.js says of any other statement what the change before it did.
  if (CHANGES.has(operation) && typeof affected === 'number') return affected
  return rowsOfRaw(operation, raw)
}

/** Whether it is TypeORM's QueryResult; a version may come twice in one process, so its class says nothing. */
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

/** Whether it is mysql2's ResultSetHeader; a row may have a column of that name, but has no such other fields. */
function isHeader (value: unknown): value is { readonly affectedRows: number } {
  if (typeof value !== 'object' || value === null || !('affectedRows' in value && 'insertId' in value && 'serverStatus' in value)) return false
  return typeof value.affectedRows === 'number'
}
