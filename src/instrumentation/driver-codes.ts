import { conditions } from './sqlstate.js'

/**
 * The error codes of databases other than PostgreSQL, under the names of PostgreSQL's conditions. Each line has a
 * condition, then numbers and codes that mean the same. A code without such a condition is left out.
 */
type Codes = ReadonlyMap<string, string>

/**
 * MySQL and MariaDB: the server's numbers, and mysql2's names of them. `number/SQLSTATE` stands for a number that has
 * another meaning in each of the two servers.
 */
const MYSQL = readCodes(`
unique_violation 1062 ER_DUP_ENTRY 1586 ER_DUP_ENTRY_WITH_KEY_NAME 1022 ER_DUP_KEY 1169 ER_DUP_UNIQUE 1859 ER_DUP_UNKNOWN_IN_INDEX
unique_violation 1557 ER_FOREIGN_DUPLICATE_KEY 1761 ER_FOREIGN_DUPLICATE_KEY_WITH_CHILD_INFO 1762 ER_FOREIGN_DUPLICATE_KEY_WITHOUT_CHILD_INFO
not_null_violation 1048 ER_BAD_NULL_ERROR 1263 ER_WARN_NULL_TO_NOTNULL 1364 ER_NO_DEFAULT_FOR_FIELD
foreign_key_violation 1216 ER_NO_REFERENCED_ROW 1217 ER_ROW_IS_REFERENCED 1451 ER_ROW_IS_REFERENCED_2 1452 ER_NO_REFERENCED_ROW_2
check_violation 3819 ER_CHECK_CONSTRAINT_VIOLATED 4025/23000
with_check_option_violation 1369 ER_VIEW_CHECK_FAILED
deadlock_detected 1213 ER_LOCK_DEADLOCK 1614 ER_XA_RBDEADLOCK 3058 ER_USER_LOCK_DEADLOCK
lock_not_available 1205 ER_LOCK_WAIT_TIMEOUT 3572 ER_LOCK_NOWAIT
serialization_failure 1020 ER_CHECKREAD 3101 ER_TRANSACTION_ROLLBACK_DURING_COMMIT
query_canceled 1317 ER_QUERY_INTERRUPTED 3024 ER_QUERY_TIMEOUT 1969
admin_shutdown 1053 ER_SERVER_SHUTDOWN 1927 ER_CONNECTION_KILLED
idle_session_timeout 4031 ER_CLIENT_INTERACTION_TIMEOUT
connection_failure PROTOCOL_CONNECTION_LOST 2006 CR_SERVER_GONE_ERROR 2013 CR_SERVER_LOST 1152 ER_ABORTING_CONNECTION 1184 ER_NEW_ABORTING_CONNECTION
connection_failure 1158 ER_NET_READ_ERROR 1159 ER_NET_READ_INTERRUPTED 1160 ER_NET_ERROR_ON_WRITE 1161 ER_NET_WRITE_INTERRUPTED
too_many_connections 1040 ER_CON_COUNT_ERROR 1203 ER_TOO_MANY_USER_CONNECTIONS
configuration_limit_exceeded 1226 ER_USER_LIMIT_REACHED
invalid_authorization_specification 1045 ER_ACCESS_DENIED_ERROR 1698 ER_ACCESS_DENIED_NO_PASSWORD_ERROR 1130 ER_HOST_NOT_PRIVILEGED
invalid_authorization_specification 1862 ER_MUST_CHANGE_PASSWORD_LOGIN 3118 ER_ACCOUNT_HAS_BEEN_LOCKED
insufficient_privilege 1044 ER_DBACCESS_DENIED_ERROR 1142 ER_TABLEACCESS_DENIED_ERROR 1143 ER_COLUMNACCESS_DENIED_ERROR
insufficient_privilege 1227 ER_SPECIFIC_ACCESS_DENIED_ERROR 1370 ER_PROCACCESS_DENIED_ERROR 1410 ER_CANT_CREATE_USER_WITH_GRANT 1095 ER_KILL_DENIED_ERROR
read_only_sql_transaction 1792 ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION 1836 ER_READ_ONLY_MODE 1874 ER_INNODB_READ_ONLY
disk_full 1021 ER_DISK_FULL 1114 ER_RECORD_FILE_FULL
out_of_memory 1037 ER_OUTOFMEMORY 1038 ER_OUT_OF_SORTMEMORY 1041 ER_OUT_OF_RESOURCES 1206 ER_LOCK_TABLE_FULL
insufficient_resources 1135 ER_CANT_CREATE_THREAD
program_limit_exceeded 1153 ER_NET_PACKET_TOO_LARGE 1390 ER_PS_MANY_PARAM
syntax_error 1064 ER_PARSE_ERROR 1149 ER_SYNTAX_ERROR 1136 ER_WRONG_VALUE_COUNT_ON_ROW 1222 ER_WRONG_NUMBER_OF_COLUMNS_IN_SELECT
undefined_table 1146 ER_NO_SUCH_TABLE 1051 ER_BAD_TABLE_ERROR 1109 ER_UNKNOWN_TABLE
undefined_column 1054 ER_BAD_FIELD_ERROR
undefined_function 1305 ER_SP_DOES_NOT_EXIST 1128 ER_FUNCTION_NOT_DEFINED 1318 ER_SP_WRONG_NO_OF_ARGS 1582 ER_WRONG_PARAMCOUNT_TO_NATIVE_FCT
undefined_object 1091 ER_CANT_DROP_FIELD_OR_KEY 1176 ER_KEY_DOES_NOT_EXITS 1193 ER_UNKNOWN_SYSTEM_VARIABLE
invalid_catalog_name 1049 ER_BAD_DB_ERROR 1008 ER_DB_DROP_EXISTS
duplicate_database 1007 ER_DB_CREATE_EXISTS
duplicate_table 1050 ER_TABLE_EXISTS_ERROR
duplicate_column 1060 ER_DUP_FIELDNAME
duplicate_object 1061 ER_DUP_KEYNAME
duplicate_alias 1066 ER_NONUNIQ_TABLE
ambiguous_column 1052 ER_NON_UNIQ_ERROR
grouping_error 1055 ER_WRONG_FIELD_WITH_GROUP 1056 ER_WRONG_GROUP_FIELD 1140 ER_MIX_OF_GROUP_FUNC_AND_FIELDS
invalid_foreign_key 1215 ER_CANNOT_ADD_FOREIGN
invalid_text_representation 1366 ER_TRUNCATED_WRONG_VALUE_FOR_FIELD 1265 WARN_DATA_TRUNCATED
feature_not_supported 1235 ER_NOT_SUPPORTED_YET 1295 ER_UNSUPPORTED_PS
raise_exception 1644 ER_SIGNAL_EXCEPTION
`)
/** SQLSTATEs of MySQL that say less than its own code. */
const GENERIC_STATES = new Set(['00000', '01000', '02000', '23000', '42000'])

/**
 * SQLite's result codes: the names of better-sqlite3 and sqlite3, the numbers of node:sqlite (sqlite.org/rescode.html).
 */
const SQLITE = readCodes(`
unique_violation SQLITE_CONSTRAINT_UNIQUE 2067 SQLITE_CONSTRAINT_PRIMARYKEY 1555 SQLITE_CONSTRAINT_ROWID 2579
not_null_violation SQLITE_CONSTRAINT_NOTNULL 1299
foreign_key_violation SQLITE_CONSTRAINT_FOREIGNKEY 787
check_violation SQLITE_CONSTRAINT_CHECK 275
raise_exception SQLITE_CONSTRAINT_TRIGGER 1811
datatype_mismatch SQLITE_CONSTRAINT_DATATYPE 3091 SQLITE_MISMATCH 20
integrity_constraint_violation SQLITE_CONSTRAINT 19
serialization_failure SQLITE_BUSY_SNAPSHOT 517
lock_not_available SQLITE_BUSY 5 SQLITE_LOCKED 6
transaction_rollback SQLITE_ABORT_ROLLBACK 516
query_canceled SQLITE_INTERRUPT 9
read_only_sql_transaction SQLITE_READONLY 8
disk_full SQLITE_FULL 13
out_of_memory SQLITE_NOMEM 7 SQLITE_IOERR_NOMEM 3082
io_error SQLITE_IOERR 10
index_corrupted SQLITE_CORRUPT_INDEX 779
data_corrupted SQLITE_CORRUPT 11 SQLITE_NOTADB 26
insufficient_privilege SQLITE_AUTH 23 SQLITE_PERM 3
program_limit_exceeded SQLITE_TOOBIG 18
`)

/**
 * What SQLite's messages hold or begin with. They are read when the code is missing or says less: sql.js has only
 * messages.
 */
const SQLITE_MESSAGES: ReadonlyArray<readonly [RegExp, string]> = [
  [/\b(?:UNIQUE|PRIMARY KEY) constraint failed\b|must be unique$|^(?:columns? .* (?:is|are) not unique)$/, 'unique_violation'],
  [/\bNOT NULL constraint failed\b/, 'not_null_violation'],
  [/\bFOREIGN KEY constraint failed\b/, 'foreign_key_violation'],
  [/\bCHECK constraint failed\b/, 'check_violation'],
  [/^no such (?:table|view)\b/, 'undefined_table'],
  [/^no such column\b|^table .* has no column named /, 'undefined_column'],
  [/^no such function\b|^wrong number of arguments to function /, 'undefined_function'],
  [/^no such savepoint\b/, 'invalid_savepoint_specification'],
  [/^no such (?:index|trigger|collation sequence|module)\b/, 'undefined_object'],
  [/^near ".*": syntax error$|^incomplete input$|^unrecognized token: |^table .* has \d+ columns but \d+ values were supplied$|^\d+ values for \d+ columns$/s, 'syntax_error'],
  [/^ambiguous column name: /, 'ambiguous_column'],
  [/^duplicate column name: /, 'duplicate_column'],
  [/^(?:table|view) .* already exists$/s, 'duplicate_table'],
  [/^(?:index|trigger) .* already exists$/s, 'duplicate_object'],
  [/^cannot start a transaction within a transaction$/, 'active_sql_transaction'],
  [/^cannot (?:commit|rollback) - no transaction is active$/, 'no_active_sql_transaction'],
  [/^database (?:table |schema )?is locked\b/, 'lock_not_available'],
  [/^attempt to write a readonly database\b/, 'read_only_sql_transaction'],
  [/^database or disk is full\b/, 'disk_full'],
  [/^out of memory\b/, 'out_of_memory'],
  [/^interrupted\b/, 'query_canceled'],
  [/^disk I\/O error\b/, 'io_error'],
  [/^database disk image is malformed\b|^file is not a database\b/, 'data_corrupted'],
  [/^datatype mismatch\b/, 'datatype_mismatch'],
  [/^string or blob too big\b/, 'program_limit_exceeded']
]
/** Codes of SQLite that stand for errors of several kinds. */
const SQLITE_VAGUE = new Set(['SQLITE_ERROR', 'SQLITE_CONSTRAINT', 'ERR_SQLITE_ERROR'])
/** A message longer than this is not searched: it holds a statement. */
const LONGEST_MESSAGE = 4096

/** SQL Server's numbers (sys.messages). */
const MSSQL = readCodes(`
unique_violation 2627 2601
not_null_violation 515
foreign_key_violation 547
deadlock_detected 1205
lock_not_available 1222
serialization_failure 3960 3961 41302 41305 41325
invalid_authorization_specification 18456
insufficient_privilege 229 230 262 297 916
read_only_sql_transaction 3906 3908
invalid_catalog_name 911 4060
disk_full 1101 1105 9002
out_of_memory 701 802 8645
too_many_connections 17809 10928
admin_shutdown 6005
cannot_connect_now 17142 40613
syntax_error 102 105 156 170 319
undefined_table 208 3701
undefined_column 207
undefined_function 195 2812 4121
ambiguous_column 209
duplicate_table 2714
duplicate_column 2705
no_active_sql_transaction 3902 3903
string_data_right_truncation 2628 8152
numeric_value_out_of_range 220 8115
invalid_text_representation 245 8114
invalid_datetime_format 241
division_by_zero 8134
raise_exception 50000
`)

/** Oracle's numbers (Database Error Messages). */
const ORACLE = readCodes(`
unique_violation 1
not_null_violation 1400 1407
foreign_key_violation 2291 2292
check_violation 2290
deadlock_detected 60
lock_not_available 54 30006
serialization_failure 8177
query_canceled 1013
invalid_authorization_specification 1017 28000
insufficient_privilege 1031 1045
read_only_sql_transaction 1456 16000
disk_full 1653 1654 1536 1652
out_of_memory 4030 4031
too_many_connections 18 20 12516 12519 12520
cannot_connect_now 1033 1034 12528
admin_shutdown 28 1089 1090 1092
connection_failure 3113 3114 3135 12537 12547
syntax_error 900 907 911 917 921 923 933 936
undefined_table 942
undefined_column 904
ambiguous_column 918
duplicate_table 955
duplicate_column 957
string_data_right_truncation 12899
numeric_value_out_of_range 1438 1426
invalid_text_representation 1722
division_by_zero 1476
`)
const ORACLE_CODE = /^(?:ORA|NJS|DPI|DPY)-\d{3,5}$/
const RAISED_BY_ORACLE = [20000, 20999] as const

/** The fields that are read of a driver's error. */
export interface DriverError {
  readonly code?: unknown
  readonly message?: unknown
  /** mysql2's number. */
  readonly errno?: unknown
  readonly sqlState?: unknown
  /** node:sqlite's number. */
  readonly errcode?: unknown
  /** SQL Server's number. */
  readonly number?: unknown
  readonly serverName?: unknown
  /** oracledb's number. */
  readonly errorNum?: unknown
}

/**
 * The condition of an error of a driver of MySQL, SQLite, SQL Server or Oracle, or its code in a form that can be a
 * label.
 * @param certain whether the error is known to be a driver's, so that a number or a message alone is enough
 * @returns undefined for any other error
 */
export function driverErrorType (error: DriverError, certain: boolean): string | undefined {
  const { code } = error
  const name = typeof code === 'string' ? code : ''
  return mysqlTypeOf(error, name, certain) ?? sqliteTypeOf(error, name, certain) ?? mssqlTypeOf(error, name, certain) ?? oracleTypeOf(error, name, certain)
}

function mysqlTypeOf ({ code: given, errno = given, sqlState, message }: DriverError, code: string, certain: boolean): string | undefined {
  // For an error on an idle connection, mysql2 puts the server's number into `code`, as a number.
  const number = typeof errno === 'number' && errno >= 1000 ? errno : 0
  const state = typeof sqlState === 'string' ? sqlState : ''
  if (!certain && state === '' && !/^(?:ER_|PROTOCOL_|CR_)/.test(code)) return undefined
  const text = typeof message === 'string' ? message : ''
  // The server has this number for any option that prevents a statement.
  if (number === 1290 && /--(?:super[-_])?read[-_]only\b/.test(text)) return 'read_only_sql_transaction'
  if (number === 1305 && text.startsWith('SAVEPOINT ')) return 'invalid_savepoint_specification'
  const condition = MYSQL.get(`${number}/${state}`) ?? MYSQL.get(String(number)) ?? MYSQL.get(code) ??
    (GENERIC_STATES.has(state) ? undefined : conditions.get(state))
  if (condition !== undefined) return condition
  // MariaDB has numbers that mysql2 has no name for.
  return number > 0 && code === '' && (state !== '' || errno === given) ? `ER_${number}` : undefined
}

function sqliteTypeOf ({ errcode, message }: DriverError, code: string, certain: boolean): string | undefined {
  const isSqlite = code.startsWith('SQLITE_') || code === 'ERR_SQLITE_ERROR'
  if (!isSqlite && (!certain || code !== '')) return undefined
  if (!SQLITE_VAGUE.has(code) && SQLITE.has(code)) return SQLITE.get(code)
  if (typeof errcode === 'number' && errcode !== 1 && errcode !== 19) {
    // The lowest byte of an extended code is the code that it extends.
    const condition = SQLITE.get(String(errcode)) ?? SQLITE.get(String(errcode & 0xff))
    if (condition !== undefined) return condition
  }
  if (code === '' || SQLITE_VAGUE.has(code)) {
    const condition = typeof message === 'string' && message.length <= LONGEST_MESSAGE ? conditionOfMessage(message) : undefined
    if (condition !== undefined) return condition
  }
  for (let end = code.length; end > 'SQLITE'.length; end = code.lastIndexOf('_', end - 1)) {
    const condition = SQLITE.get(code.slice(0, end))
    if (condition !== undefined) return condition
  }
  return undefined
}

function conditionOfMessage (message: string): string | undefined {
  // sqlite3 puts the code before the message.
  const text = message.replace(/^SQLITE_[A-Z_]+: /, '')
  return SQLITE_MESSAGES.find(([pattern]) => pattern.test(text))?.[1]
}

function mssqlTypeOf ({ number, serverName, message }: DriverError, code: string, certain: boolean): string | undefined {
  if (typeof number !== 'number' || !(certain || code === 'EREQUEST' || code === 'ELOGIN' || typeof serverName === 'string')) return undefined
  // SQL Server has one number for foreign key and CHECK constraints.
  if (number === 547 && typeof message === 'string' && message.includes(' CHECK constraint ')) return 'check_violation'
  return MSSQL.get(String(number))
}

function oracleTypeOf ({ errorNum, message }: DriverError, code: string, certain: boolean): string | undefined {
  // oracledb gave no code before its version 6.
  if (!ORACLE_CODE.test(code) && !(typeof errorNum === 'number' && (certain || String(message).startsWith('ORA-')))) return undefined
  const number = code.startsWith('ORA-') ? Number(code.slice('ORA-'.length)) : code === '' ? Number(errorNum) : 0
  if (number >= RAISED_BY_ORACLE[0] && number <= RAISED_BY_ORACLE[1]) return 'raise_exception'
  return ORACLE.get(String(number)) ?? (ORACLE_CODE.test(code) ? code : undefined)
}

function readCodes (lines: string): Codes {
  return new Map(lines.trim().split('\n').flatMap((line) => {
    const [condition = '', ...codes] = line.split(' ')
    return codes.map((code) => [code, condition] as const)
  }))
}
