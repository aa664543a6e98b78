import t from 'tap'
import fc from 'fast-check'
import { operationOf, operations } from '../../src/database/operation.js'

t.test('a statement is what its first verb says', async (t) => {
  const expected = {
    select: ['SELECT 1', 'select', 'VALUES (1)', 'TABLE dogs', '(SELECT 1) UNION (SELECT 2)', '((select 1))', 'SELECT(1)', 'select*from a', ';select 1'],
    insert: ['INSERT INTO dogs VALUES (1)', 'Insert into dogs select 1', 'REPLACE INTO dogs VALUES (1)'],
    update: ['UPDATE dogs SET size = 1', '\n\t update dogs set size = 1'],
    delete: ['DELETE FROM dogs', '-- why\nDELETE FROM dogs', '--\r\n--\ndelete from dogs'],
    merge: ['MERGE INTO dogs USING walks ON true WHEN MATCHED THEN DELETE'],
    copy: ['COPY dogs FROM STDIN', 'copy (select 1) to stdout'],
    begin: ['BEGIN', 'begin isolation level serializable', 'START TRANSACTION', 'BEGIN;'],
    commit: ['COMMIT', 'END', 'commit prepared \'a\''],
    rollback: ['ROLLBACK', 'ABORT', 'ROLLBACK TO SAVEPOINT a'],
    ddl: ['CREATE TABLE a ()', 'ALTER TABLE a ADD b int', 'DROP TABLE a', 'TRUNCATE a', 'COMMENT ON TABLE a IS \'b\'', 'GRANT SELECT ON a TO b',
      'REVOKE ALL ON a FROM b', 'REINDEX TABLE a'],
    other: ['', ' ', 'EXPLAIN SELECT 1', 'SHOW all', 'SET a = 1', 'SAVEPOINT a', 'RELEASE a', 'PREPARE a AS SELECT 1', 'DECLARE a CURSOR FOR SELECT 1',
      'FETCH 1 FROM a', 'CLOSE a', 'LISTEN a', 'VACUUM', 'selection', 'select_1', 'select$', 'selectö', 'sele', '1', '"select"', '/* select', '-- select', '- select', 'with', 'WITH a']
  }
  for (const [operation, statements] of Object.entries(expected)) {
    for (const statement of statements) t.equal(operationOf(statement), operation, statement)
  }
  t.equal(operationOf('/* a /* nested */ comment */ insert into a values (1)'), 'insert')
  t.equal(operationOf('/* not closed /* */ insert into a values (1)'), 'other')
  t.equal(operationOf(undefined as unknown as string), 'other')
})

t.test('a statement with common table expressions is what its main verb says', async (t) => {
  const expected = {
    select: ['WITH a AS (SELECT 1) SELECT * FROM a', 'with a as (delete from b returning *) select * from a', 'WITH a AS (INSERT INTO b VALUES (1)) (SELECT 1)',
      'WITH update AS (SELECT 1) SELECT * FROM update', 'WITH a AS (SELECT 1), "delete" AS (SELECT 2), insert (b) AS (SELECT 3) SELECT 1',
      'WITH a AS (SELECT 1) VALUES (1)', 'WITH a AS (SELECT 1) TABLE a', 'WITH ä AS (SELECT 1) SELECT 1'],
    insert: ['WITH RECURSIVE a (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM a) INSERT INTO b SELECT n FROM a',
      "WITH a AS (SELECT ')') INSERT INTO b TABLE a", "with a as (select E'\\') delete from b')insert into b table a", "WITH a AS (SELECT '''') INSERT INTO b TABLE a"],
    update: ['WITH a AS NOT MATERIALIZED (SELECT $$ ) delete from b $$) UPDATE b SET c = 1', 'WITH a AS (SELECT $x$ $$ ) $y$ $x$) UPDATE b SET c = 1',
      'WITH a AS (SELECT $1) UPDATE b SET c = $2', 'WITH "a "" ) delete" AS (SELECT 1) UPDATE b SET c = 1'],
    delete: ['WITH a AS (SELECT 1 /* ) insert */ -- ) insert\n) DELETE FROM b', 'WITH a AS (SELECT (1 + (2))) /* x */ DELETE FROM b',
      'WITH RECURSIVE a AS (SELECT 1) SEARCH DEPTH FIRST BY b, c SET d DELETE FROM b'],
    merge: ['WITH a AS (SELECT 1) MERGE INTO b USING a ON true WHEN MATCHED THEN DELETE']
  }
  for (const [operation, statements] of Object.entries(expected)) {
    for (const statement of statements) {
      t.equal(operationOf(statement), operation, statement)
      t.equal(operationOf(statement), operation, `${statement}, again`)
      t.equal(operationOf(`${statement} ${'-- long\n'.repeat(600)}`), operation, `${statement}, too long to be remembered`)
    }
  }
})

const verbs = fc.constantFrom('select', 'insert', 'update', 'delete', 'merge')
const shuffledCase = (word: string) => fc.array(fc.boolean(), { minLength: word.length, maxLength: word.length })
  .map((upper) => [...word].map((letter, i) => upper[i] ? letter.toUpperCase() : letter).join(''))
const blank = fc.constantFrom(' ', '\n', '\t', '\r\n', '-- delete\n', '/* update */', '/* a /* ) */ insert */')
const blanks = fc.array(blank, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''))
/** Anything that stands in parentheses and is balanced. */
const body = fc.letrec((tie) => ({
  body: fc.array(fc.oneof({ depthSize: 'small' },
    fc.constantFrom('select 1', 'delete from a', ',', "'it''s )'", "E'\\')'", '$$ ( $$', '$tag$ $$ ) $tag$', '"a "" )"', '$1', 'a$b$', '-- )\n', '/* ( /* */ */'),
    tie('body').map((inner) => `(${String(inner)})`)
  ), { maxLength: 6 }).map((parts) => parts.join(' '))
})).body

t.test('whatever stands before the verb, it is found', async () => {
  fc.assert(fc.property(verbs.chain((verb) => fc.tuple(fc.constant(verb), shuffledCase(verb))), blanks, ([verb, written], before) => {
    return operationOf(`${before}${written} rest`) === verb
  }))
  fc.assert(fc.property(verbs, fc.array(fc.tuple(fc.constantFrom('a', 'update', '"delete"', 'b (c)'), body, blanks), { minLength: 1, maxLength: 3 }), blanks, (verb, expressions, before) => {
    const list = expressions.map(([name, text, between]) => `${name} as${between}(${text}\n)${between}`).join(',')
    return operationOf(`with${before}${list} ${verb} rest`) === verb
  }), { numRuns: 500 })
})

t.test('whatever it is asked, it answers from the set', async () => {
  const pieces = fc.constantFrom('with ', 'select', "'", '"', '$$', '$a$', '$', '(', ')', '/*', '*/', '--', '\n', "E'", '\\', ',', ';', 'é', '\u{1F415}', '\u0000')
  const hostile = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.array(pieces).map((parts) => parts.join('')), fc.array(pieces).map((parts) => `with ${parts.join('')}`))
  fc.assert(fc.property(hostile, (text) => operations.includes(operationOf(text))), { numRuns: 2000 })
})

t.test('a hostile text takes no more than its own length', async (t) => {
  const size = 4_000_000
  // Anything that goes over the text more than once for each of its characters does not come back from these.
  for (const piece of ['(', ')', '/*', '*/', '--', "'", "E'\\", '"', '$a$', '$b', '$', 'a', ' ', ',', ';', '\u0000', '$aaaaaaaaaaaaaaaaaaaa']) {
    const text = piece.repeat(size / piece.length)
    t.equal(operationOf(text), 'other')
    t.ok(operations.includes(operationOf(`with a as (${text}`)))
    t.ok(operations.includes(operationOf(`with ${text}`)))
  }
})
