import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { DataSource, EntitySchema, type EntitySubscriberInterface } from 'typeorm'
import { modelOpsSubscriber, type ModelTarget } from '../../adapters/typeorm.js'
import { counted, initialized } from '../support/data-source.js'
import { startPostgres } from '../support/postgres.js'
import { Dog, NightWalk, Thing, Walk, Walker, countsOf, dogs, entities, sqljs, valueOf, walks } from './typeorm-entities.js'

const postgres = await startPostgres()
t.teardown(() => postgres.close())

const drivers = {
  postgres: () => new DataSource({ type: 'postgres', ...postgres.config, entities, synchronize: true, dropSchema: true }),
  sqljs
}

/** Process warnings with a code, from now on. */
function warnings (t: Test, code: string): string[] {
  const messages: string[] = []
  const listener = (warning: Error & { code?: string }): void => { if (warning.code === code) messages.push(warning.message) }
  process.on('warning', listener)
  t.teardown(() => process.removeListener('warning', listener))
  return messages
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

for (const [driver, make] of Object.entries(drivers)) {
  t.test(`${driver}: every way to change a model counts the rows that it changed`, async (t) => {
    const { dataSource, registry } = await counted(t, make(), 'dog')
    const repository = dataSource.getRepository(Dog)
    const before = await countsOf(registry, 'dog')
    t.same(before, [0, 0, 0, 0, 0], 'zero from the moment of registration')

    const steps: Array<[string, () => Promise<unknown>, number[]]> = [
      ['save of a new one', () => repository.save({ name: 'a' }), [1, 0, 0, 0, 0]],
      ['save of several, in chunks', () => repository.save([{ name: 'b' }, { name: 'c' }, { name: 'd' }], { chunk: 2 }), [3, 0, 0, 0, 0]],
      ['save of an unchanged one', async () => repository.save(await repository.findOneByOrFail({ name: 'a' })), [0, 0, 0, 0, 0]],
      ['save of a changed one', async () => repository.save({ ...await repository.findOneByOrFail({ name: 'a' }), name: 'A' }), [0, 1, 0, 0, 0]],
      ['save without listeners', () => repository.save({ name: 'quiet' }, { listeners: false }), [0, 0, 0, 0, 0]],
      ['insert', () => repository.insert([{ name: 'e' }, { name: 'f' }]), [2, 0, 0, 0, 0]],
      ['upsert', () => repository.upsert([{ name: 'e' }, { name: 'g' }], ['name']), [0, 0, 0, 0, 0]],
      ['query builder insert', () => repository.createQueryBuilder().insert().values({ name: 'h' }).execute(), [1, 0, 0, 0, 0]],
      ['update by criteria', () => repository.update({ name: 'h' }, { name: 'H' }), [0, 1, 0, 0, 0]],
      ['update by criteria of none', () => repository.update({ name: 'none' }, { name: 'H' }), [0, 0, 0, 0, 0]],
      ['query builder update', () => repository.createQueryBuilder().update().set({ name: 'h' }).where({ name: 'H' }).execute(), [0, 1, 0, 0, 0]],
      ['soft delete by criteria', () => repository.softDelete({ name: 'h' }), [0, 0, 0, 1, 0]],
      ['restore by criteria', () => repository.restore({ name: 'h' }), [0, 0, 0, 0, 1]],
      ['soft remove, with its cascade', async () => {
        const mother = await repository.save({ name: 'mother', puppies: [{ name: 'puppy' }] })
        await repository.softRemove(mother)
        // On PostgreSQL TypeORM also updates the second of a self-referencing pair that it inserts.
      }, [2, driver === 'postgres' ? 1 : 0, 0, 2, 0]],
      ['recover, with its cascade', async () => {
        const mother = await repository.findOneOrFail({ where: { name: 'mother' }, relations: { puppies: true }, withDeleted: true })
        await repository.recover(mother)
      }, [0, 0, 0, 0, 2]],
      ['delete by criteria', () => repository.delete({ name: 'h' }), [0, 0, 1, 0, 0]],
      ['query builder delete', () => repository.createQueryBuilder().delete().where({ name: 'g' }).execute(), [0, 0, 1, 0, 0]],
      ['remove', async () => repository.remove(await repository.findBy([{ name: 'e' }, { name: 'f' }])), [0, 0, 2, 0, 0]],
      ['a failing statement', () => t.rejects(repository.insert({ name: 'A' })), [0, 0, 0, 0, 0]],
      ['raw SQL', () => dataSource.query("INSERT INTO dog (name) VALUES ('raw')"), [0, 0, 0, 0, 0]]
    ]
    let sum = before
    for (const [name, step, wanted] of steps) {
      await step()
      const counts = await countsOf(registry, 'dog')
      t.same(counts.map((count, i) => (count ?? NaN) - (sum[i] ?? NaN)), wanted, name)
      sum = counts
    }
    t.equal(await valueOf(registry, 'model_upserts_total', { model: 'dog' }), 2, 'what an upsert wrote, it wrote')
  })
}

t.test('a model is asked for by the name of its entity or table in any case, by class or by schema', async (t) => {
  const dataSource = await initialized(t, sqljs())
  const cases: Array<[ModelTarget, string]> = [
    ['walk', 'walk'], ['WALK', 'WALK'], ['daily_walk', 'daily_walk'], ['Daily_Walk', 'Daily_Walk'], [Walk, 'Walk'], [walks, 'Walk'],
    [new EntitySchema<Dog>({ name: 'Walk', columns: {} }), 'Walk']
  ]
  for (const [target, label] of cases) {
    const registry = new Registry()
    dataSource.subscribers.splice(0, 1, modelOpsSubscriber(target, { registry }))
    await dataSource.manager.save(Walk, { distance: 1 })
    t.same(await countsOf(registry, label), [1, 0, 0, 0, 0], `${label}`)
  }
})

t.test('an entity is also what it inherits from, and counts under the nearest that was asked for', async (t) => {
  const cases: Array<[ModelTarget | ModelTarget[], Record<string, number>]> = [
    ['walk', { walk: 2 }],
    [Walk, { Walk: 2 }],
    ['daily_walk', { daily_walk: 2 }],
    ['nightwalk', { nightwalk: 1 }],
    [NightWalk, { NightWalk: 1 }],
    [['walk', 'nightwalk'], { walk: 1, nightwalk: 1 }],
    [['nightwalk', Walk], { Walk: 1, nightwalk: 1 }],
    [['daily_walk', 'nightwalk'], { daily_walk: 1, nightwalk: 1 }],
    ['thing', { thing: 3 }],
    [[Thing, 'dog'], { Thing: 2, dog: 1 }],
    [[Dog, '*'], { Dog: 1, Walk: 1, NightWalk: 1, Walker: 0 }]
  ]
  const dataSource = await initialized(t, sqljs())
  for (const [models, wanted] of cases) {
    const registry = new Registry()
    dataSource.subscribers.splice(0, 1, modelOpsSubscriber(models, { registry }))
    await dataSource.manager.save(Walk, { distance: 1 })
    await dataSource.manager.save(NightWalk, { distance: 1, lamps: 2 })
    await dataSource.manager.save(Dog, { name: `${Math.random()}` })
    const inserts = (await registry.getSingleMetric('model_inserts_total')?.get())?.values
    t.same(Object.fromEntries((inserts ?? []).map(({ labels, value }) => [labels['model'], value])), wanted)
  }
})

t.test("'*' and nothing mean every entity, with zeros from the first query on, and no junction tables", async (t) => {
  for (const models of ['*', undefined] as const) {
    const { dataSource, registry } = await counted(t, sqljs(), models)
    await dataSource.query('SELECT 1')
    for (const model of ['Walk', 'NightWalk', 'Dog', 'Walker']) t.same(await countsOf(registry, model), [0, 0, 0, 0, 0], model)
    const walk = await dataSource.manager.save(Walk, { distance: 3, dogs: [{ name: 'a' }, { name: 'b' }] })
    const dog = await dataSource.manager.save(Dog, { name: 'c' })
    await dataSource.createQueryBuilder().relation(Walk, 'dogs').of(walk).add(dog)
    await dataSource.manager.save(Walker, { name: 'w', walks: [{ distance: 1 }, { distance: 2 }] })
    await dataSource.manager.update(Walk, { distance: 2 }, { distance: 4 })
    await dataSource.manager.delete(Walker, { name: 'w' })
    t.equal(await dataSource.manager.count(Walk), 1, 'the database deleted the walks of the walker')
    t.same(await countsOf(registry, 'Dog'), [3, 0, 0, 0, 0])
    t.same(await countsOf(registry, 'Walk'), [3, 1, 0, 0, 0])
    t.same(await countsOf(registry, 'NightWalk'), [0, 0, 0, 0, 0])
    t.same(await countsOf(registry, 'Walker'), [1, 0, 1, 0, 0])
    t.equal((await registry.getSingleMetric('model_inserts_total')?.get())?.values.length, 4, 'nothing else')
    t.equal(await dataSource.query<unknown[]>('SELECT * FROM walk_dogs').then((rows) => rows.length), 3)
  }
})

t.test('a name that matches no entity is reported once, with those that do exist, and counted', async (t) => {
  const messages = warnings(t, 'FP_ERR_UNKNOWN_MODEL')
  const { dataSource, registry } = await counted(t, sqljs(), ['wlak', 'dog', 'walk_dogs', 'WALKER', 'walker'])
  await tick()
  t.same(messages, [], 'not before it can be known')
  await dataSource.query('SELECT 1')
  await dataSource.query('SELECT 1')
  await dataSource.manager.save(Dog, { name: 'a' })
  await tick()
  t.equal(messages.length, 2)
  t.match(messages[0], /^FP_ERR_UNKNOWN_MODEL: no entity, class or table of the data source is called 'wlak'; its entities are Dog, NightWalk, Walk, Walker$/)
  t.match(messages[1], /'walk_dogs'/)
  const reports = (): Promise<number | undefined> => valueOf(registry, 'metrics_instrumentation_errors_total', { source: 'model wlak' })
  t.equal(await reports(), 1)
  t.same(await countsOf(registry, 'dog'), [1, 0, 0, 0, 0])

  const another = await initialized(t, sqljs())
  another.subscribers.push(...dataSource.subscribers)
  for (const each of [another, dataSource, another]) await each.query('SELECT 1')
  t.equal(await reports(), 2, 'once for each data source')
})

t.test('an operation counts once, however often and in how many subscribers it was asked for', async (t) => {
  const dataSource = await initialized(t, sqljs())
  const registry = new Registry()
  const other = new Registry()
  const twice = modelOpsSubscriber('dog', { registry })
  dataSource.subscribers.push(twice, twice, modelOpsSubscriber(['walk', 'dog'], { registry }), twice, modelOpsSubscriber('Dog', { registry }),
    modelOpsSubscriber('dog', { registry: other }))
  await dataSource.manager.save(Dog, [{ name: 'a' }, { name: 'b' }])
  await dataSource.manager.insert(Dog, { name: 'c' })
  await dataSource.manager.delete(Dog, { name: 'b' })
  await dataSource.manager.delete(Dog, { name: 'none' })
  await dataSource.transaction(async (manager) => {
    await manager.transaction((nested) => nested.insert(Dog, { name: 'd' }))
    await manager.transaction(async (nested) => {
      await nested.insert(Dog, { name: 'e' })
      throw new Error('rolled back')
    }).catch(() => {})
  })
  t.same(await countsOf(registry, 'dog'), [4, 0, 1, 0, 0])
  t.same(await countsOf(registry, 'Dog'), [4, 0, 1, 0, 0], 'another label is another count')
  t.same(await countsOf(other, 'dog'), [4, 0, 1, 0, 0], 'another registry, too')
})

t.test('after another initialize the subscriber is pushed again and goes on counting', async (t) => {
  const { dataSource, registry } = await counted(t, sqljs(), 'dog')
  const subscriber = dataSource.subscribers[0] as EntitySubscriberInterface
  await dataSource.manager.insert(Dog, { name: 'a' })
  await dataSource.destroy()
  await dataSource.initialize()
  dataSource.subscribers.push(subscriber)
  await dataSource.manager.insert(Dog, { name: 'b' })
  t.same(await countsOf(registry, 'dog'), [2, 0, 0, 0, 0])
})

t.test('a recorder that fails is counted and the application does not notice', async (t) => {
  const messages = warnings(t, 'FP_WARN_INSTRUMENTATION')
  const { dataSource, registry } = await counted(t, sqljs(), 'dog')
  const family = registry.getSingleMetric('model_inserts_total') as unknown as { reset (): void, resolve (): never }
  family.reset()
  family.resolve = () => { throw new Error('sabotage') }
  const dog = await dataSource.manager.save(Dog, { name: 'a' })
  const nested = await dataSource.transaction((manager) => manager.save(Dog, { name: 'b' }))
  t.equal(await dataSource.manager.count(Dog), 2)
  t.same([dog.name, nested.name], ['a', 'b'])
  t.ok((await valueOf(registry, 'metrics_instrumentation_errors_total', { source: 'typeorm models' }) ?? 0) >= 2)
  await tick()
  t.equal(messages.length, 1, 'logged once')
})

t.test('what the application sees is the same with the subscriber as without', async (t) => {
  const seen = async (subscribe: boolean): Promise<unknown[]> => {
    const dataSource = await initialized(t, sqljs())
    if (subscribe) dataSource.subscribers.push(modelOpsSubscriber('*', { registry: new Registry() }))
    const events: string[] = []
    dataSource.subscribers.push(Object.fromEntries(['beforeQuery', 'afterQuery', 'afterInsert', 'afterUpdate', 'afterLoad', 'afterTransactionCommit',
      'beforeTransactionRollback'].map((name) => [name, (event: { query?: string }) => { events.push(`${name} ${event.query ?? ''}`) }])))
    const results: unknown[] = []
    results.push(await dataSource.manager.save(Dog, { name: 'a' }))
    results.push(await dataSource.manager.find(Dog))
    results.push(await dataSource.manager.update(Dog, { name: 'a' }, { name: 'b' }))
    results.push(await dataSource.manager.insert(Dog, { name: 'b' }).catch((error: Error) => [error.name, error.message]))
    return [results, events]
  }
  t.same(await seen(true), await seen(false))
})

t.test('bad models and options are refused where they are given', async (t) => {
  const registry = new Registry()
  const bad: Array<[unknown, unknown, RegExp]> = [
    [42, {}, /modelOpsSubscriber option 'models' must be a model's name, an entity class, an EntitySchema, '\*', or an array of these, got 42/],
    [[], {}, /'models' must be .* got \[\]/],
    [['walk', ''], {}, /'models' must be .* got ''/],
    [() => Walk, {}, /'models' must be/],
    [{}, {}, /'models' must be/],
    ['walk', { count: 'sometimes' }, /'count' must be 'committed' or 'attempted', got a string of 9 characters/],
    ['walk', { label: 'x' }, /'label' must be left out; the options are count, registry, prefix, maxSeries/],
    ['walk', { registry: {} }, /'registry' must be/],
    ['walk', { exemplars: false }, /'exemplars' must be left out/],
    ['walk', null, /options must be an object, got null/]
  ]
  for (const [models, options, message] of bad) {
    t.throws(() => modelOpsSubscriber(models as string, options as object), { code: 'FP_ERR_INVALID_OPTION', message })
  }
  modelOpsSubscriber('walk', { registry, prefix: 'my_' })
  t.same(await valueOf(registry, 'my_model_inserts_total', { model: 'walk' }), 0)
  t.equal(dogs.options.name, 'Dog')
})
