import type { Registry } from 'prom-client'
import t from 'tap'
import { IsNull, Not, type DataSource, type EntityManager, type ObjectLiteral } from 'typeorm'
import { counted, VERSIONS } from '../support/data-source.js'
import { startPostgres } from '../support/postgres.js'
import { Dog, NightWalk, Walk, Walker, entities, valueOf } from './typeorm-entities.js'

/*
 * The counts against a database that writes down each row that is changed, in the transaction that changes it. Random
 * operations, in and out of transactions that end in every way.
 */

const postgres = await startPostgres('-c', 'max_prepared_transactions=10')
t.teardown(() => postgres.close())

const OPERATIONS = { inserts: 'insert', upserts: 'upsert', updates: 'update', deletes: 'delete', soft_deletes: 'softDelete', restores: 'restore' }
const MODELS = { dog: 'dog', daily_walk: 'walk', walker: 'walker' }
const WAYS = ['dog insert', 'dog restore', 'dog softDelete', 'dog update', 'dog upsert', 'walk delete', 'walk insert', 'walk update', 'walker delete', 'walker insert']
const ROUNDS = Number(process.env.ROUNDS ?? 80)

/** `audit.as` names what a trigger cannot tell: an upsert, what TypeORM tells nobody, what is deleted with a walker. */
const AUDIT = `
  DROP TABLE IF EXISTS audit;
  CREATE TABLE audit (model text, operation text);
  CREATE OR REPLACE FUNCTION audit () RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE told text := nullif(current_setting('audit.as', true), '');
  DECLARE operation text := lower(TG_OP);
  BEGIN
    IF told = 'silent' OR (told = 'cascade' AND TG_TABLE_NAME <> 'walker') THEN RETURN NULL; END IF;
    IF told = 'cascade' THEN told := NULL; END IF;
    IF told IS NULL AND TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'dog' THEN
      IF to_jsonb(OLD) ->> 'deletedAt' IS NULL AND to_jsonb(NEW) ->> 'deletedAt' IS NOT NULL THEN operation := 'softDelete'; END IF;
      IF to_jsonb(OLD) ->> 'deletedAt' IS NOT NULL AND to_jsonb(NEW) ->> 'deletedAt' IS NULL THEN operation := 'restore'; END IF;
    END IF;
    INSERT INTO audit VALUES (TG_TABLE_NAME, coalesce(told, operation));
    RETURN NULL;
  END $$;
  ${Object.keys(MODELS).map((table) => `CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION audit();`).join('\n')}`

type Random = (below: number) => number

function randomOf (seed: number): Random {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor(state / 2 ** 32 * below)
  }
}

/** Runs statements whose rows the audit calls something else, in a transaction. */
async function as (name: 'silent' | 'upsert' | 'cascade', manager: EntityManager, run: (manager: EntityManager) => Promise<unknown>): Promise<void> {
  if (manager.queryRunner === undefined || !manager.queryRunner.isTransactionActive) return manager.transaction((inner) => as(name, inner, run))
  await manager.query("SELECT set_config('audit.as', $1, true)", [name])
  await run(manager)
  await manager.query("SELECT set_config('audit.as', '', true)")
}

const some = async <T extends ObjectLiteral>(manager: EntityManager, entity: new () => T, random: Random, more: object = {}): Promise<T[]> => {
  const found = await manager.find(entity, { order: { id: 'ASC' } as never, ...more })
  return found.filter(() => random(3) === 0)
}

/** Before 1.0 TypeORM also writes what is not deleted when it restores, and what is when it deletes. */
const DELETED = { withDeleted: true, where: { deletedAt: Not(IsNull()) } }
let names = 0
const name = (): string => `n${++names}`
const known = (random: Random): string => `n${random(names + 1)}`
const several = <T>(random: Random, make: () => T): T[] => Array.from({ length: 1 + random(4) }, make)

type Operation = (manager: EntityManager, random: Random) => Promise<unknown>

const operations: Record<string, Operation> = {
  insert: (m, r) => m.insert(Dog, several(r, () => ({ name: name() }))),
  'insert without updating the entities': (m, r) => m.createQueryBuilder().insert().into(Dog).values(several(r, () => ({ name: name() }))).updateEntity(false).execute(),
  'insert returning': (m, r) => m.createQueryBuilder().insert().into(Walk).values(several(r, () => ({ distance: r(9) }))).returning('*').execute(),
  'insert or ignore': (m, r) => m.createQueryBuilder().insert().into(Dog).values(several(r, () => ({ name: r(2) === 0 ? known(r) : name() }))).orIgnore().execute(),
  upsert: (m, r) => as('upsert', m, (m) => m.upsert(Dog, several(r, () => ({ name: r(2) === 0 ? known(r) : name() })).filter(({ name }, i, all) => all.findIndex((each) => each.name === name) === i), ['name'])),
  'upsert that skips the unchanged': (m, r) => as('upsert', m, (m) => m.upsert(Dog, [{ name: known(r) }], { conflictPaths: ['name'], skipUpdateIfNoValuesChanged: true })),
  'save of new ones': (m, r) => m.save(Dog, several(r, () => ({ name: name() }))),
  'save in chunks': (m, r) => m.save(Walk, several(r, () => ({ distance: r(9) })), { chunk: 2 }),
  'save of a mother and her puppies': (m, r) => m.save(Dog, { name: name(), puppies: several(r, () => ({ name: name() })) }),
  'save of changed ones': async (m, r) => m.save((await some(m, Dog, r)).map((dog) => Object.assign(dog, { name: r(2) === 0 ? dog.name : name() }))),
  'save of new and changed ones of both kinds': async (m, r) => m.save([
    ...(await some(m, Walk, r)).map((walk) => Object.assign(walk, { distance: r(99) })),
    ...several(r, () => m.create(Walk, { distance: r(9) })), ...several(r, () => m.create(NightWalk, { distance: r(9), lamps: 2 })), m.create(Walk, { distance: 1 })
  ]),
  'save of a walker with walks, and dogs on them': (m, r) => m.save(Walker, { name: name(), walks: several(r, () => ({ distance: r(9), dogs: several(r, () => ({ name: name() })) })) }),
  'save without listeners': (m, r) => as('silent', m, (m) => m.save(Dog, several(r, () => ({ name: name() })), { listeners: false })),
  'insert without listeners': (m, r) => as('silent', m, (m) => m.createQueryBuilder().insert().into(Dog).values(several(r, () => ({ name: name() }))).callListeners(false).execute()),
  'update without listeners': (m, r) => as('silent', m, (m) => m.createQueryBuilder().update(Walk).set({ distance: r(9) }).callListeners(false).execute()),
  'delete without listeners': (m, r) => as('silent', m, (m) => m.createQueryBuilder().delete().from(Walk).where({ distance: r(9) }).callListeners(false).execute()),
  'raw SQL': (m, r) => as('silent', m, (m) => m.query('UPDATE dog SET name = name WHERE id > $1', [r(9)])),
  'update of criteria': (m, r) => m.update(Walk, { distance: r(9) }, { distance: r(9) }),
  'update with a comment': (m, r) => m.createQueryBuilder().comment('update daily_walk').update(Walk).set({ distance: r(9) }).where({ distance: r(9) }).execute(),
  'update of all, returning': (m, r) => m.createQueryBuilder().update(Walk).set({ distance: () => 'distance + 1' }).returning(['id']).execute(),
  increment: (m, r) => m.increment(Walk, { distance: r(9) }, 'distance', 1),
  decrement: (m, r) => m.decrement(NightWalk, { distance: r(9) }, 'distance', 1),
  'delete of criteria': (m, r) => m.delete(Walk, { distance: r(9) }),
  'delete returning': (m, r) => m.createQueryBuilder().delete().from(NightWalk).where({ distance: r(9) }).returning('id').execute(),
  'delete, and the database its walks': (m, r) => as('cascade', m, async (m) => m.delete(Walker, (await some(m, Walker, r)).map(({ id }) => id).concat(0))),
  remove: async (m, r) => m.remove(await some(m, Walk, r)),
  'remove of what another has removed in part': async (m, r) => {
    const walks = await some(m, Walk, r)
    await as('silent', m, (m) => m.query('DELETE FROM daily_walk WHERE id = $1', [walks[r(walks.length)]?.id ?? 0]))
    await m.remove(walks)
  },
  'update of what another has removed': async (m, r) => {
    const [walk] = await some(m, Walk, r)
    await as('silent', m, (m) => m.query('DELETE FROM daily_walk WHERE id = $1', [walk?.id ?? 0]))
    await m.update(Walk, walk?.id ?? 0, { distance: 1 })
  },
  'soft delete': (m, r) => m.softDelete(Dog, { name: known(r), deletedAt: IsNull() }),
  'soft delete of many': async (m, r) => m.softDelete(Dog, (await some(m, Dog, r)).map(({ id }) => id).concat(0)),
  restore: async (m, r) => m.restore(Dog, (await some(m, Dog, r, DELETED)).map(({ id }) => id).concat(0)),
  'soft remove': async (m, r) => m.softRemove(await some(m, Dog, r, { relations: { puppies: true } })),
  recover: async (m, r) => m.recover(await some(m, Dog, r, DELETED)),
  'relation add': async (m, r) => {
    const [[walk], [dog]] = [await some(m, Walk, r), await some(m, Dog, r)]
    if (walk !== undefined && dog !== undefined) await m.createQueryBuilder().relation(Walk, 'dogs').of(walk).addAndRemove(dog, dog)
  },
  'relation set': async (m, r) => {
    const [walks, [walker]] = [await some(m, Walk, r), await some(m, Walker, r)]
    await m.createQueryBuilder().relation(Walk, 'walker').of(walks).set(walker ?? null)
  },
  'relation of many': async (m, r) => {
    const [walks, [walker]] = [await some(m, Walk, r), await some(m, Walker, r)]
    if (walks.length > 0 && walker !== undefined) await m.createQueryBuilder().relation(Walker, 'walks').of(walker).add(walks)
  },
  'a nested transaction': (m, r) => m.transaction((inner) => few(inner, r)),
  'a nested transaction that is rolled back': (m, r) => rolledBack(m, r)
}
const list = Object.entries(operations)
let seen: string[] = []

async function few (manager: EntityManager, random: Random): Promise<void> {
  for (let i = random(4); i >= 0; i--) {
    const [title, operation] = list[random(list.length)] as [string, Operation]
    seen.push(title)
    await operation(manager, random)
  }
}

async function rolledBack (manager: EntityManager, random: Random): Promise<void> {
  const failure = new Error('rolled back')
  await manager.transaction(async (inner) => {
    await few(inner, random)
    throw failure
  }).catch((error: unknown) => { if (error !== failure) throw error })
}

/** One way to begin and end. */
const rounds: Array<(dataSource: DataSource, random: Random) => Promise<unknown>> = [
  ({ manager }, random) => few(manager, random),
  ({ manager }, random) => manager.transaction((inner) => few(inner, random)),
  ({ manager }, random) => rolledBack(manager, random),
  async (dataSource, random) => {
    const runner = dataSource.createQueryRunner()
    await runner.query('BEGIN')
    await few(runner.manager, random)
    // A save() that does not know of the transaction commits it.
    await runner.query('SAVEPOINT here').catch(() => {})
    await few(runner.manager, random)
    await runner.query(random(2) === 0 ? 'ROLLBACK TO here' : 'RELEASE here').catch(() => runner.query('ROLLBACK'))
    await few(runner.manager, random)
    await runner.query(['COMMIT', 'ROLLBACK', 'COMMIT; SELECT 1', 'SELECT 1; COMMIT', "SELECT ';'; ROLLBACK; SELECT 2"][random(5)] as string)
    await runner.release()
  },
  async (dataSource, random) => {
    const runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    await few(runner.manager, random)
    await runner.query("PREPARE TRANSACTION 'one'")
    await runner.release()
    await dataSource.query(`${random(2) === 0 ? 'COMMIT' : 'ROLLBACK'} PREPARED 'one'`)
  },
  async ({ manager }, random) => manager.transaction(async (inner) => {
    await few(inner, random)
    await inner.query('SELECT 1/0').catch(() => {})
  })
]

async function auditedOf (dataSource: DataSource): Promise<Record<string, number>> {
  const rows: Array<{ model: keyof typeof MODELS, operation: string, n: number }> =
    await dataSource.query('SELECT model, operation, count(*)::int n FROM audit GROUP BY 1, 2')
  return Object.fromEntries(rows.map(({ model, operation, n }) => [`${MODELS[model]} ${operation}`, n]).sort())
}

async function countedOf (registry: Registry): Promise<Record<string, number>> {
  const counts: Array<[string, number]> = []
  for (const model of Object.values(MODELS)) {
    for (const [metric, operation] of Object.entries(OPERATIONS)) {
      const value = await valueOf(registry, `model_${metric}_total`, { model })
      if (value !== 0) counts.push([`${model} ${operation}`, value ?? NaN])
    }
  }
  return Object.fromEntries(counts.sort())
}

for (const [version, make] of Object.entries(VERSIONS)) {
  t.test(`${version}: the counts are the rows that PostgreSQL changed, whatever is done and however it ends`, async (t) => {
    const { dataSource, registry } = await counted(t, make({ type: 'postgres', ...postgres.config, entities, synchronize: true, dropSchema: true }), Object.values(MODELS))
    await dataSource.query(AUDIT)
    const seed = Number(process.env.SEED ?? 7)
    const random = randomOf(seed)
    for (let i = -5; i < ROUNDS; i++) {
      seen = []
      const at = i < 0 ? 'each alone' : random(rounds.length)
      if (at === 'each alone') for (const [, operation] of list) await operation(dataSource.manager, random)
      else await rounds[at]?.(dataSource, random)
      const [found, wanted] = [await countedOf(registry), await auditedOf(dataSource)]
      if (JSON.stringify(found) === JSON.stringify(wanted)) continue
      t.same(found, wanted, `round ${i} of seed ${seed}: ${at}, ${seen.join(', ')}`)
      return
    }
    t.same(Object.keys(await auditedOf(dataSource)), WAYS, 'every model was changed in every way that there is')
  })
}
