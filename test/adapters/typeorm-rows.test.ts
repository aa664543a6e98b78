import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { EntitySchema, type DataSource, type Repository } from 'typeorm'
import { modelOpsSubscriber } from '../../adapters/typeorm.js'
import { counted, newDataSource, oldDataSource } from '../support/data-source.js'
import { startMariaDb } from '../support/mariadb.js'
import { startPostgres } from '../support/postgres.js'
import { loadSqlite } from '../support/sqlite.js'
import { Dog, NightWalk, Walk, Walker, countsOf, entities, valueOf } from './typeorm-entities.js'

/** Nodes of trees, which TypeORM keeps in three ways. */
class Node {
  id!: number
  name!: string
  parent?: Node | null
  children?: Node[]
}
class MaterializedNode extends Node {}
class ClosureNode extends Node {}
class NestedNode extends Node {}

/** Without anything that the database makes up, so that MariaDB is not asked to return it. */
interface Bowl { id: number, size: number }

/** Has toys, of which it removes those that it no longer has. */
interface Box { id: number, toys: Array<{ id?: number, name: string }> }

const id = { type: 'int', primary: true, generated: true } as const
const bowls = new EntitySchema<Bowl>({ name: 'Bowl', columns: { id: { type: 'int', primary: true }, size: { type: 'int' } } })
const boxes = new EntitySchema<Box>({ name: 'Box', columns: { id }, relations: { toys: { type: 'one-to-many', target: 'Toy', inverseSide: 'box', cascade: true } } })
const toys = new EntitySchema<{ id: number, name: string, box: Box }>({
  name: 'Toy',
  columns: { id, name: { type: String } },
  relations: { box: { type: 'many-to-one', target: 'Box', inverseSide: 'toys', orphanedRowAction: 'delete' } }
})
const trees = ([['materialized-path', MaterializedNode], ['closure-table', ClosureNode], ['nested-set', NestedNode]] as const).map(([type, target]) => new EntitySchema<Node>({
  name: target.name,
  target,
  columns: { id, name: { type: String } },
  relations: {
    parent: { type: 'many-to-one', target: target.name, treeParent: true, inverseSide: 'children', nullable: true },
    children: { type: 'one-to-many', target: target.name, treeChildren: true, inverseSide: 'parent', cascade: true }
  },
  trees: [{ type }]
}))

type Make = (options: object) => DataSource
const shape = { entities: [...entities, bowls, boxes, toys, ...trees], synchronize: true, dropSchema: true }
const now: Make = (options) => newDataSource({ ...shape, ...options })
const before: Make = (options) => oldDataSource({ ...shape, ...options })

const postgres = await startPostgres()
t.teardown(() => postgres.close())

const mysql = (type: string) => async (t: Test): Promise<object | undefined> => {
  const started = await startMariaDb(t)
  if (started === undefined) return undefined
  const { user: username, ...config } = started.config
  return { type, username, ...config }
}

const drivers: Array<[string, Make, (t: Test) => Promise<object | undefined>]> = [
  ['postgres', now, async () => ({ type: 'postgres', ...postgres.config })],
  ['postgres, typeorm 0.3.20', before, async () => ({ type: 'postgres', ...postgres.config })],
  ['mysql', now, mysql('mysql')],
  // Returns what it inserts.
  ['mariadb', now, mysql('mariadb')],
  ['mysql, typeorm 0.3.20', before, mysql('mysql')],
  ['sqljs', now, async () => ({ type: 'sqljs' })],
  ['sqljs, typeorm 0.3.20', before, async () => ({ type: 'sqljs' })],
  ['better-sqlite3', now, async (t) => await loadSqlite(t) && { type: 'better-sqlite3', database: ':memory:' }]
]

/** What is counted by a step of one model: inserts, updates, deletes, soft deletes, restores, upserts. */
type Deltas = readonly [number, number, number, number, number, number]

async function open (t: Test, made: DataSource): Promise<{ dataSource: DataSource, registry: Registry, step: (title: string, run: () => Promise<unknown>, wanted: Record<string, Deltas>) => Promise<void> }> {
  const { dataSource, registry } = await counted(t, made, '*')
  await dataSource.query('SELECT 1')
  const models = dataSource.entityMetadatas.filter(({ isJunction, tableType }) => !isJunction && !tableType.startsWith('closure')).map(({ name }) => name)
  const all = async (): Promise<Record<string, number[]>> => Object.fromEntries(await Promise.all(models.map(async (model) =>
    [model, [...await countsOf(registry, model), await valueOf(registry, 'model_upserts_total', { model })]])))
  let last = await all()
  return {
    dataSource,
    registry,
    async step (title, run, wanted) {
      await run()
      const counts = await all()
      const deltas = Object.fromEntries(models.map((model) => [model, counts[model]?.map((count, i) => count - (last[model]?.[i] ?? 0)) ?? []]).filter(([, deltas]) => (deltas as number[]).some((delta) => delta !== 0)))
      t.same(deltas, wanted, title)
      last = counts
    }
  }
}

const numbered = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

for (const [title, make, optionsOf] of drivers) {
  t.test(`${title}: counts rows`, async (t) => {
    const options = await optionsOf(t)
    if (options === undefined) return
    const { dataSource, step } = await open(t, make(options))
    const { manager } = dataSource
    const dogs: Repository<Dog> = dataSource.getRepository(Dog)
    const named = (from: string, count: number): Array<{ name: string }> => numbered(count, (i) => ({ name: `${from}${i}` }))

    await step('a bulk insert', () => dogs.insert(named('d', 300)), { Dog: [300, 0, 0, 0, 0, 0] })
    await step('an upsert of those that are there, and some more', () => dogs.upsert(named('d', 310), ['name']), { Dog: [0, 0, 0, 0, 0, 310] })
    await step('an upsert of one', () => dogs.upsert({ name: 'single' }, ['name']), { Dog: [0, 0, 0, 0, 0, 1] })
    await step('insert or ignore', () => dogs.createQueryBuilder().insert().values(named('d', 313)).orIgnore().updateEntity(false).execute(), { Dog: [3, 0, 0, 0, 0, 0] })
    await step('insert or ignore of what is there', () => dogs.createQueryBuilder().insert().values(named('d', 5)).orIgnore().updateEntity(false).execute(), {})
    await step('an update of many', () => manager.update(Dog, { name: 'd1' }, { name: 'e1' }).then(() => manager.createQueryBuilder().update(Dog).set({ deletedAt: null }).where("name LIKE 'd%'").execute()), { Dog: [0, 313, 0, 0, 0, 0] })
    await step('an update of none', () => manager.update(Dog, { name: 'none' }, { name: 'x' }), {})
    await step('a soft delete of many', () => dogs.createQueryBuilder().softDelete().where("name LIKE 'd%'").execute(), { Dog: [0, 0, 0, 312, 0, 0] })
    await step('a restore of many', () => dogs.createQueryBuilder().restore().where("name LIKE 'd%'").execute(), { Dog: [0, 0, 0, 0, 312, 0] })
    await step('a delete with a comment', () => dogs.createQueryBuilder().comment('tidy').delete().where({ name: 'e1' }).execute(), { Dog: [0, 0, 1, 0, 0, 0] })
    await step('a delete of all', () => dogs.createQueryBuilder().delete().execute(), { Dog: [0, 0, 313, 0, 0, 0] })
    await step('a delete of none', () => dogs.delete({ name: 'none' }), {})

    await step('rows without anything made up', () => manager.insert('Bowl', numbered(3, (i) => ({ id: i, size: 1 }))), { Bowl: [3, 0, 0, 0, 0, 0] })
    await step('their upsert', () => manager.upsert('Bowl', numbered(5, (i) => ({ id: i, size: 2 })), ['id']), { Bowl: [0, 0, 0, 0, 0, 5] })
    await step('and of one', () => manager.upsert('Bowl', { id: 1, size: 3 }, ['id']), { Bowl: [0, 0, 0, 0, 0, 1] })
    await step('insert or ignore', () => manager.createQueryBuilder().insert().into('Bowl').values(numbered(6, (i) => ({ id: i, size: 2 }))).orIgnore().updateEntity(false).execute(), { Bowl: [1, 0, 0, 0, 0, 0] })
    await step('a save of known and new ones', () => manager.save('Bowl', numbered(8, (i) => ({ id: i, size: 9 }))), { Bowl: [2, 6, 0, 0, 0, 0] })

    await step('several at once of one runner, or of many', () => Promise.all([
      manager.insert(Dog, named('p', 3)), manager.insert(Dog, named('q', 2)), manager.update('Bowl', { size: 9 }, { size: 8 }), manager.delete(Dog, { name: 'none' })
    ]), { Dog: [5, 0, 0, 0, 0, 0], Bowl: [0, 8, 0, 0, 0, 0] })

    let walks: Walk[] = []
    await step('a save of both kinds in one table', async () => {
      walks = await manager.save([...numbered(3, () => manager.create(Walk, { distance: 1 })), ...numbered(2, () => manager.create(NightWalk, { distance: 1 })), manager.create(Walk, { distance: 1 })])
    }, { Walk: [4, 0, 0, 0, 0, 0], NightWalk: [2, 0, 0, 0, 0, 0] })
    await step('an update of both kinds', () => manager.update(Walk, { distance: 1 }, { distance: 2 }), { Walk: [0, 6, 0, 0, 0, 0] })
    await step('an update of the child', () => manager.increment(NightWalk, { distance: 2 }, 'distance', 1), { NightWalk: [0, 2, 0, 0, 0, 0] })
    // Those at 3 and 4 are of the child.
    for (const [ours, gone, kinds] of [[[0, 3], [0], [0, 1]], [[1, 3], [3], [1, 0]], [[0, 1, 2, 3, 4, 5], [1, 4], [3, 1]]] as const) {
      await step(`a remove of ${ours.join(', ')}, of which somebody else has removed ${gone.join(', ')}`, () => manager.transaction(async (inner) => {
        walks = await inner.save([...numbered(3, () => manager.create(Walk, { distance: 1 })), ...numbered(2, () => manager.create(NightWalk, { distance: 1 })), manager.create(Walk, { distance: 1 })])
        await inner.query(`DELETE FROM daily_walk WHERE id IN (${gone.map((i) => walks[i]?.id).join(', ')})`)
        await inner.remove(ours.map((i) => walks[i] as Walk))
      }), Object.fromEntries([['Walk', 4], ['NightWalk', 2]].map(([kind, inserts], i) => [kind, [inserts, 0, kinds[i], 0, 0, 0]])) as Record<string, Deltas>)
    }
    const left = await manager.count(Walk)
    await step('a delete of the parent takes the children with it', () => manager.createQueryBuilder().delete().from(Walk).execute(), { Walk: [0, 0, left, 0, 0, 0] })

    let box: Box | undefined
    let other: Box | undefined
    await step('a save that cascades', async () => {
      box = await manager.save('Box', { toys: named('t', 4) }) as Box
      other = await manager.save('Box', { toys: named('t', 1) }) as Box
    }, { Box: [2, 0, 0, 0, 0, 0], Toy: [5, 0, 0, 0, 0, 0] })
    const kept = (box as Box | undefined)?.toys.slice(2)
    await step('orphans that a save removes', () => manager.save('Box', { ...box, toys: kept }), { Toy: [0, 0, 2, 0, 0, 0] })
    await step('a move from one to another', () => manager.createQueryBuilder().relation('Box', 'toys').of(other).add(kept), { Toy: [0, 2, 0, 0, 0, 0] })

    for (const { name } of [MaterializedNode, ClosureNode, NestedNode]) {
      // Before 1.0 TypeORM tells nobody that it writes the path.
      const paths = name === 'MaterializedNode' && make === now ? 3 : 0
      const leaves: Node[] = []
      await step(`${name}: a root with children`, async () => {
        const root = await manager.save(name, { name: 'root' }) as Node
        for (const leaf of ['a', 'b']) leaves.push(await manager.save(name, { name: leaf, parent: root }) as Node)
      }, { [name]: [3, paths, 0, 0, 0, 0] })
      await step(`${name}: other names for them`, () => manager.save(name, leaves.map((leaf) => ({ ...leaf, name: 'c' }))), { [name]: [0, 2, 0, 0, 0, 0] })
    }
    await step('a walker with walks, who is deleted: the database deletes the walks', async () => {
      await manager.save(Walker, { name: 'w', walks: [{ distance: 1 }, { distance: 2 }] })
      await manager.delete(Walker, { name: 'w' })
    }, { Walker: [1, 0, 1, 0, 0, 0], Walk: [2, 0, 0, 0, 0, 0] })
  })
}

t.test('two callers at once remove one row, which counts once', async (t) => {
  const { dataSource, step } = await open(t, now({ type: 'postgres', ...postgres.config }))
  const dogs = await dataSource.manager.save(Dog, numbered(20, (i) => ({ name: `${i}` })))
  await step('twenty at five callers', () => Promise.all(numbered(5, (i) => i % 2 === 0
    ? dataSource.transaction((manager) => manager.remove(dogs.map((dog) => Object.assign(new Dog(), dog))))
    : dataSource.manager.delete(Dog, dogs.map(({ id }) => id)))), { Dog: [20, 0, 20, 0, 0, 0] })
})

t.test('a driver that does not say how many: one for each event', async (t) => {
  if (await loadSqlite(t) === undefined) return
  const quiet: string[] = []
  for (const [title, make, more] of [['no event of queries', before, {}], ['each statement is shown to the application', now, { verbose: (sql: string) => { quiet.push(sql) } }]] as const) {
    const { dataSource, step } = await open(t, make({ type: 'better-sqlite3', database: ':memory:', ...more }))
    await step(`${title}: insert`, () => dataSource.manager.insert(Dog, [{ name: 'a' }, { name: 'b' }]), { Dog: [2, 0, 0, 0, 0, 0] })
    await step(`${title}: delete`, () => dataSource.createQueryBuilder().delete().from(Dog).execute(), { Dog: [0, 0, 1, 0, 0, 0] })
  }
  t.notOk(quiet.some((sql) => sql.includes('changes()')), 'which sees no statement of ours')
})

t.test('who tells of queries may say how many rows they changed', async (t) => {
  const { dataSource, registry } = await open(t, now({ type: 'sqljs' }))
  const { afterQuery, ...told } = modelOpsSubscriber('bowl', { registry })
  dataSource.subscribers.push(told)
  const runner = dataSource.createQueryRunner()
  afterQuery({ dataSource, queryRunner: runner, query: 'DELETE FROM "bowl"', success: true, affected: 12 })
  await dataSource.createQueryBuilder().delete().from('Bowl').execute()
  t.equal(await valueOf(registry, 'model_deletes_total', { model: 'bowl' }), 12)
})

t.test('another subscriber that throws, or an entity, hides nothing from one that was pushed after it', async (t) => {
  class Cat { id!: number; name!: string; hiss (): void { throw new Error('hiss') } }
  const cats = new EntitySchema<Cat>({ name: 'Cat', target: Cat, columns: { id, name: { type: String } } })
  const failure = new Error('mine')
  const thrower = Object.fromEntries(['afterInsert', 'afterUpdate', 'afterRemove', 'afterSoftRemove', 'afterRecover'].map((name) => [name, () => { throw failure }]))
  for (const version of [now, before]) {
    for (const throwers of [1, 0]) {
      const dataSource = await version({ type: 'postgres', ...postgres.config, entities: [cats, ...entities] }).initialize()
      t.teardown(() => dataSource.destroy())
      const registry = new Registry()
      const counting = modelOpsSubscriber(['dog', 'cat'], { registry })
      if (throwers === 1) dataSource.subscribers.push(thrower, counting)
      else dataSource.subscribers.push(counting, thrower)
      const { manager } = dataSource
      const inserted = await manager.query<Array<{ id: number }>>("INSERT INTO dog (name) VALUES ('a'), ('b'), ('c') RETURNING id")
      const steps = [
        () => manager.insert(Dog, [{ name: 'd' }, { name: 'e' }]),
        () => manager.update(Dog, { name: 'd' }, { name: 'f' }),
        () => manager.softDelete(Dog, inserted.map(({ id }) => id)),
        () => manager.restore(Dog, inserted.map(({ id }) => id)),
        () => manager.delete(Dog, inserted.map(({ id }) => id)),
        () => manager.save(Dog, { name: 'rolled back' })
      ]
      for (const step of steps) t.equal(await step().then(() => undefined, (error: unknown) => error), failure, 'the application gets its own error')
      t.same(await countsOf(registry, 'dog'), [2, 1, 3, 3, 3], throwers === 1 ? 'behind it' : 'before it')
      dataSource.subscribers.splice(dataSource.subscribers.indexOf(counting as never), 1)
      await manager.insert(Dog, { name: 'g' }).catch(() => {})
      t.same(await countsOf(registry, 'dog'), [2, 1, 3, 3, 3], 'and nothing once it is taken out')
    }
    const dataSource = await version({ type: 'sqljs', entities: [cats] }).initialize()
    t.teardown(() => dataSource.destroy())
    const registry = new Registry()
    dataSource.subscribers.push(modelOpsSubscriber('cat', { registry }))
    const metadata = dataSource.getMetadata(Cat) as unknown as { listeners: unknown[], afterInsertListeners: unknown[] }
    // As @AfterInsert() has it.
    const listener = { isAllowed: () => true, execute: (cat: Cat) => cat.hiss() }
    metadata.listeners = [listener]
    metadata.afterInsertListeners = [listener]
    await t.rejects(dataSource.manager.insert(Cat, Object.assign(new Cat(), { name: 'a' })), /hiss/)
    t.equal(await dataSource.manager.count(Cat), 1, 'the row is there')
    t.same(await countsOf(registry, 'cat'), [1, 0, 0, 0, 0], 'and counted')
  }
})
