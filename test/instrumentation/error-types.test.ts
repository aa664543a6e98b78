import fc from 'fast-check'
import t from 'tap'
import { driverErrorTypeOf, errorTypeOf } from '../../src/instrumentation/error-type.js'
import { conditions } from '../../src/instrumentation/sqlstate.js'

/** An error as a driver makes it. */
function thrown (message: string, fields: object = {}): Error {
  return Object.assign(new Error(message), fields)
}

class QueryFailedError extends Error {
  constructor (readonly driverError: Error) {
    super(driverError.message)
    // As TypeORM does: what the driver's error has, the wrapper has too.
    Object.assign(this, driverError)
  }
}

const mysql = (errno: number, code: string | undefined, sqlState: string, message = 'secret'): Error => thrown(message, { errno, code, sqlState, sqlMessage: message })

/** What is one kind of error, on each database. */
const KINDS: Record<string, Error[]> = {
  unique_violation: [
    thrown('m', { code: '23505' }), mysql(1062, 'ER_DUP_ENTRY', '23000'), mysql(1586, 'ER_DUP_ENTRY_WITH_KEY_NAME', '23000'), thrown('m', { code: 'ER_DUP_ENTRY' }),
    thrown('m', { code: 'SQLITE_CONSTRAINT_UNIQUE' }), thrown('m', { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' }), thrown('m', { code: 'ERR_SQLITE_ERROR', errcode: 2067 }),
    thrown('SQLITE_CONSTRAINT: UNIQUE constraint failed: dog.name', { code: 'SQLITE_CONSTRAINT', errno: 19 }),
    thrown('m', { code: 'EREQUEST', number: 2627 }), thrown('m', { code: 'EREQUEST', number: 2601 }), thrown('m', { code: 'ORA-00001', errorNum: 1 }), thrown('ORA-00001: unique', { errorNum: 1 })
  ],
  not_null_violation: [mysql(1048, 'ER_BAD_NULL_ERROR', '23000'), mysql(1364, 'ER_NO_DEFAULT_FOR_FIELD', 'HY000'), thrown('m', { code: 'SQLITE_CONSTRAINT_NOTNULL' }), thrown('m', { code: 'EREQUEST', number: 515 }), thrown('m', { code: 'ORA-01400' })],
  foreign_key_violation: [mysql(1452, 'ER_NO_REFERENCED_ROW_2', '23000'), thrown('m', { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' }), thrown('The INSERT statement conflicted with the FOREIGN KEY constraint "a".', { code: 'EREQUEST', number: 547 }), thrown('m', { code: 'ORA-02291' })],
  check_violation: [mysql(3819, 'ER_CHECK_CONSTRAINT_VIOLATED', 'HY000'), mysql(4025, 'ER_INNODB_AUTOEXTEND_SIZE_OUT_OF_RANGE', '23000'), thrown('m', { code: 'SQLITE_CONSTRAINT_CHECK' }), thrown('The INSERT statement conflicted with the CHECK constraint "a".', { code: 'EREQUEST', number: 547 }), thrown('m', { code: 'ORA-02290' })],
  deadlock_detected: [thrown('m', { code: '40P01' }), mysql(1213, 'ER_LOCK_DEADLOCK', '40001'), thrown('m', { code: 'EREQUEST', number: 1205 }), thrown('m', { code: 'ORA-00060' })],
  lock_not_available: [thrown('m', { code: '55P03' }), mysql(1205, 'ER_LOCK_WAIT_TIMEOUT', 'HY000'), thrown('m', { code: 'SQLITE_BUSY' }), thrown('m', { code: 'SQLITE_LOCKED_SHAREDCACHE' }), thrown('m', { code: 'ORA-00054' })],
  serialization_failure: [thrown('m', { code: '40001' }), mysql(1020, 'ER_CHECKREAD', 'HY000'), thrown('m', { code: 'SQLITE_BUSY_SNAPSHOT' }), thrown('m', { code: 'EREQUEST', number: 3960 }), thrown('m', { code: 'ORA-08177' })],
  query_canceled: [mysql(1317, 'ER_QUERY_INTERRUPTED', '70100'), mysql(3024, 'ER_QUERY_TIMEOUT', 'HY000'), mysql(1969, undefined, '70100'), thrown('m', { code: 'SQLITE_INTERRUPT' }), thrown('m', { code: 'ORA-01013' })],
  too_many_connections: [mysql(1040, 'ER_CON_COUNT_ERROR', '08004'), mysql(1040, 'ER_CON_COUNT_ERROR', ''), mysql(1203, 'ER_TOO_MANY_USER_CONNECTIONS', '42000'), thrown('m', { code: 'ORA-00018' })],
  invalid_authorization_specification: [thrown('m', { code: '28000' }), mysql(1045, 'ER_ACCESS_DENIED_ERROR', '28000'), thrown('m', { code: 'ELOGIN', number: 18456 }), thrown('m', { code: 'ORA-01017' })],
  insufficient_privilege: [mysql(1142, 'ER_TABLEACCESS_DENIED_ERROR', '42000'), thrown('m', { code: 'SQLITE_AUTH' }), thrown('m', { code: 'EREQUEST', number: 229 }), thrown('m', { code: 'ORA-01031' })],
  read_only_sql_transaction: [
    mysql(1792, 'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION', '25006'), mysql(1290, 'ER_OPTION_PREVENTS_STATEMENT', 'HY000', 'The MariaDB server is running with the --read-only option so it cannot execute this statement'),
    thrown('m', { code: 'SQLITE_READONLY_DBMOVED' })
  ],
  disk_full: [mysql(1021, 'ER_DISK_FULL', 'HY000'), thrown('m', { code: 'SQLITE_FULL' }), thrown('m', { code: 'EREQUEST', number: 1105 }), thrown('m', { code: 'ORA-01653' })],
  out_of_memory: [mysql(1037, 'ER_OUTOFMEMORY', 'HY001'), thrown('m', { code: 'SQLITE_NOMEM' }), thrown('m', { code: 'SQLITE_IOERR_NOMEM' })],
  syntax_error: [mysql(1064, 'ER_PARSE_ERROR', '42000'), thrown('near "SELEC": syntax error', { code: 'SQLITE_ERROR' }), thrown('incomplete input', { code: 'SQLITE_ERROR' }), thrown('m', { code: 'EREQUEST', number: 102 }), thrown('m', { code: 'ORA-00900' })],
  undefined_table: [mysql(1146, 'ER_NO_SUCH_TABLE', '42S02'), thrown('no such table: secret', { code: 'SQLITE_ERROR' }), thrown('SQLITE_ERROR: no such table: secret', { code: 'SQLITE_ERROR', errno: 1 }), thrown('m', { code: 'EREQUEST', number: 208 }), thrown('m', { code: 'ORA-00942' })],
  undefined_column: [mysql(1054, 'ER_BAD_FIELD_ERROR', '42S22'), thrown('no such column: secret', { code: 'SQLITE_ERROR' }), thrown('table dog has no column named secret', { code: 'SQLITE_ERROR' })],
  connection_failure: [thrown('m', { code: 'PROTOCOL_CONNECTION_LOST', fatal: true }), mysql(1152, 'ER_ABORTING_CONNECTION', '08S01'), thrown('m', { code: 'ORA-03113' })],
  admin_shutdown: [mysql(1053, 'ER_SERVER_SHUTDOWN', '08S01'), mysql(1927, undefined, '70100'), thrown('m', { code: 'ORA-01089' })],
  invalid_catalog_name: [mysql(1049, 'ER_BAD_DB_ERROR', '42000'), mysql(1046, 'ER_NO_DB_ERROR', '3D000')],
  raise_exception: [mysql(1644, 'ER_SIGNAL_EXCEPTION', '45000'), thrown('m', { code: 'SQLITE_CONSTRAINT_TRIGGER' }), thrown('m', { code: 'ORA-20001' })],
  invalid_savepoint_specification: [mysql(1305, 'ER_SP_DOES_NOT_EXIST', '42000', 'SAVEPOINT a does not exist'), thrown('no such savepoint: a', { code: 'SQLITE_ERROR' })],
  no_active_sql_transaction: [thrown('cannot commit - no transaction is active', { code: 'SQLITE_ERROR' })],
  numeric_value_out_of_range: [mysql(1690, 'ER_DATA_OUT_OF_RANGE', '22003'), mysql(1264, 'ER_WARN_DATA_OUT_OF_RANGE', '22003')],
  data_corrupted: [thrown('m', { code: 'SQLITE_CORRUPT_VTAB' }), thrown('m', { code: 'SQLITE_NOTADB' })],
  io_error: [thrown('m', { code: 'SQLITE_IOERR_SHORT_READ' })],
  integrity_constraint_violation: [thrown('m', { code: 'SQLITE_CONSTRAINT_VTAB' })],
  // What has no equivalent keeps its code.
  ER_HOST_IS_BLOCKED: [mysql(1129, 'ER_HOST_IS_BLOCKED', 'HY000')],
  ER_OPTION_PREVENTS_STATEMENT: [mysql(1290, 'ER_OPTION_PREVENTS_STATEMENT', 'HY000', 'The MariaDB server is running with the --secure-file-priv option')],
  ER_4012: [mysql(4012, undefined, 'HY000')],
  SQLITE_CANTOPEN_ISDIR: [thrown('m', { code: 'SQLITE_CANTOPEN_ISDIR' })],
  SQLITE_ERROR: [thrown('something else', { code: 'SQLITE_ERROR' })],
  PROTOCOL_SEQUENCE_TIMEOUT: [thrown('m', { code: 'PROTOCOL_SEQUENCE_TIMEOUT' })],
  EREQUEST: [thrown('m', { code: 'EREQUEST', number: 12345 })],
  'ORA-12154': [thrown('m', { code: 'ORA-12154' })],
  ECONNREFUSED: [thrown('m', { code: 'ECONNREFUSED', errno: -111, fatal: true })]
}

t.test('one kind of error has one name on every database, bare and in the wrapper of TypeORM', async (t) => {
  for (const [type, errors] of Object.entries(KINDS)) {
    for (const error of errors) {
      const said = JSON.stringify(error)
      t.equal(errorTypeOf(error), type, said)
      t.equal(driverErrorTypeOf(error), type, said)
      t.equal(errorTypeOf(new QueryFailedError(error)), type, `${said}, wrapped`)
      t.equal(driverErrorTypeOf(new QueryFailedError(error)), type, `${said}, wrapped`)
    }
    if (/^[a-z]/.test(type)) t.ok([...conditions.values()].includes(type), `${type} is a condition of PostgreSQL`)
  }
})

t.test("a message without a code is believed where it is a driver's alone", async (t) => {
  for (const [message, type] of [
    ['UNIQUE constraint failed: dog.name', 'unique_violation'], ['NOT NULL constraint failed: dog.name', 'not_null_violation'], ['CHECK constraint failed: positive', 'check_violation'],
    ['FOREIGN KEY constraint failed', 'foreign_key_violation'], ['no such table: cat', 'undefined_table'], ['no such column: tail', 'undefined_column'],
    ['near "SELEC": syntax error', 'syntax_error'], ['near "a\nb": syntax error', 'syntax_error'], ['table dog already exists', 'duplicate_table'], ['cannot rollback - no transaction is active', 'no_active_sql_transaction']
  ] as const) {
    const error = new Error(message)
    t.equal(errorTypeOf(error), 'Error', 'an error of an application may say anything')
    t.equal(driverErrorTypeOf(error), type)
    t.equal(errorTypeOf(new QueryFailedError(error)), type)
    t.equal(driverErrorTypeOf(new QueryFailedError(error)), type)
  }
  t.equal(errorTypeOf(new QueryFailedError(new Error('what the trigger says'))), 'QueryFailedError')
  t.equal(driverErrorTypeOf(new QueryFailedError(new Error('what the trigger says'))), 'Error')
  t.equal(driverErrorTypeOf(new QueryFailedError(new TypeError('cannot bind'))), 'TypeError')
})

t.test('what the server says of an idle connection has its number as code', async (t) => {
  for (const [code, type] of [[1927, 'admin_shutdown'], [4031, 'idle_session_timeout'], [1129, 'ER_1129']] as const) {
    t.equal(driverErrorTypeOf(thrown('m', { code, fatal: true })), type)
    t.equal(errorTypeOf(thrown('m', { code, fatal: true })), 'Error')
  }
})

t.test("an application's own fields are no database's", async (t) => {
  for (const fields of [{ number: 2627 }, { number: 515, code: 'E_WALK' }, { errno: 1062 }, { errorNum: 1 }, { errcode: 2067 }, { sqlState: 7 }]) {
    t.equal(errorTypeOf(thrown('m', fields)), (fields as { code?: string }).code ?? 'Error', JSON.stringify(fields))
  }
})

t.test('no error shows its message, and none throws', async (t) => {
  const secret = 's3cr3t'
  const field = fc.oneof(fc.constantFrom(secret, `SQLITE_${secret}`, `ER_${secret}`, `ORA-${secret}`, 'SQLITE_ERROR', 'SQLITE_', 'EREQUEST', ''), fc.integer(), fc.constant(undefined), fc.constant({}))
  fc.assert(fc.property(fc.record({ code: field, errno: field, sqlState: field, errcode: field, number: field, errorNum: field, serverName: field }), fc.string(), (fields, text) => {
    const error = thrown(`${secret}${text}`, fields)
    for (const type of [errorTypeOf(error), driverErrorTypeOf(error), errorTypeOf(new QueryFailedError(error)), errorTypeOf({ driverError: fields }), driverErrorTypeOf({ driverError: error })]) {
      if (type.includes(secret) || !/^[\w$-]{1,64}$/.test(type)) throw new Error(`it said ${type}`)
    }
  }))
  const hostile = new Proxy({}, { get () { throw new Error('no') } })
  for (const value of [hostile, { driverError: hostile }, { get driverError () { throw new Error('no') } }, null, undefined, 'text', 7, { code: 'SQLITE_ERROR', message: 'x'.repeat(1e6) }]) {
    t.type(errorTypeOf(value), 'string')
    t.type(driverErrorTypeOf(value), 'string')
  }
})
