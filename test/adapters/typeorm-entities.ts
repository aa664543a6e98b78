import { DataSource, EntitySchema, type DataSourceOptions, type MigrationInterface, type QueryRunner } from 'typeorm'
import type { Registry } from 'prom-client'

/** What the walks, dogs and walkers of the tests inherit from; no entity itself. */
export abstract class Thing {
  id!: number
}

export class Walk extends Thing {
  distance!: number
  walker?: Walker | null
  dogs?: Dog[]
}

export class NightWalk extends Walk {
  lamps!: number
}

export class Dog extends Thing {
  name!: string
  deletedAt?: Date | null
  puppies?: Dog[]
  mother?: Dog | null
}

export class Walker extends Thing {
  name!: string
  walks?: Walk[]
}

const id = { type: 'int', primary: true, generated: true } as const

export const walks = new EntitySchema<Walk>({
  name: 'Walk',
  target: Walk,
  tableName: 'daily_walk',
  inheritance: { pattern: 'STI', column: { name: 'kind', type: String } },
  columns: { id, distance: { type: 'int', default: 0 } },
  relations: {
    walker: { type: 'many-to-one', target: 'Walker', inverseSide: 'walks', nullable: true, onDelete: 'CASCADE' },
    dogs: { type: 'many-to-many', target: 'Dog', joinTable: { name: 'walk_dogs' }, cascade: true }
  }
})

export const nightWalks = new EntitySchema<NightWalk>({
  name: 'NightWalk',
  target: NightWalk,
  type: 'entity-child',
  discriminatorValue: 'night',
  columns: { lamps: { type: 'int', nullable: true } }
})

export const dogs = new EntitySchema<Dog>({
  name: 'Dog',
  target: Dog,
  columns: {
    id,
    name: { type: String, unique: true },
    deletedAt: { type: Date, deleteDate: true, nullable: true }
  },
  relations: {
    mother: { type: 'many-to-one', target: 'Dog', inverseSide: 'puppies', nullable: true },
    puppies: { type: 'one-to-many', target: 'Dog', inverseSide: 'mother', cascade: ['insert', 'soft-remove', 'recover'] }
  }
})

export const walkers = new EntitySchema<Walker>({
  name: 'Walker',
  target: Walker,
  columns: { id, name: { type: String } },
  relations: { walks: { type: 'one-to-many', target: 'Walk', inverseSide: 'walker', cascade: true } }
})

export const entities = [walks, nightWalks, dogs, walkers]

export class AddLeads1700000000001 implements MigrationInterface {
  async up (runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE lead (id int)')
  }

  async down (runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE lead')
  }
}

class AddBowls1700000000002 implements MigrationInterface {
  async up (runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE bowl (id int)')
  }

  async down (runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE bowl')
  }
}

export const migrations = [AddLeads1700000000001, AddBowls1700000000002]

/** A data source of a database in memory, with an empty schema. */
export function sqljs (options: Partial<DataSourceOptions> = {}): DataSource {
  return new DataSource({ type: 'sqljs', entities, synchronize: true, ...options } as DataSourceOptions)
}

/** The value of a series; undefined where there is none. */
export async function valueOf (registry: Registry, name: string, labels: Record<string, string>): Promise<number | undefined> {
  const metric = (await registry.getMetricsAsJSON()).find((each) => each.name === name.replace(/_(count|sum)$/, '')) as
    { name: string, values: Array<{ value: number, metricName?: string, labels: Record<string, unknown> }> } | undefined
  return metric?.values.find((value) => (value.metricName ?? metric.name) === name &&
    Object.entries(labels).every(([label, wanted]) => value.labels[label] === wanted))?.value
}

/** The counts of a model: inserts, updates, deletes, soft deletes, restores. */
export async function countsOf (registry: Registry, model: string): Promise<Array<number | undefined>> {
  const names = ['inserts', 'updates', 'deletes', 'soft_deletes', 'restores']
  return Promise.all(names.map((name) => valueOf(registry, `model_${name}_total`, { model })))
}

/** How many migrations are applied, and how many pending. */
export async function migrationsOf (registry: Registry, alias = 'default'): Promise<Array<number | undefined>> {
  return [await valueOf(registry, 'db_migrations_applied', { alias }), await valueOf(registry, 'db_migrations_pending', { alias })]
}
