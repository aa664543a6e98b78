import { MetricsError, invalidOption } from '../../src/adapter.js'
import type { EntityMetadataLike, EntitySchemaLike } from './shapes.js'

/**
 * The entities to count: a name (of the entity, its class or its table, in any case), a class, an EntitySchema, or '*'
 * for every entity. A model includes the entities that inherit from it: 'walk' is also a NightWalk that extends Walk.
 */
export type ModelTarget = string | (abstract new (...args: never) => unknown) | EntitySchemaLike

interface Model {
  /** The value of the label `model`: a name as the user gave it, or TypeORM's name of a class or schema. */
  readonly label: string
  readonly matches: (level: Level) => boolean
}

/** One step of an entity's inheritance: the entity itself, then each class and entity that it inherits from. */
interface Level {
  readonly target: unknown
  readonly names: readonly string[]
}

const EXPECTED = "a model's name, an entity class, an EntitySchema, '*', or an array of these"
const LISTED = 30

/** The models that the user asked for. */
export class Models {
  readonly #models: readonly Model[]
  readonly #every: boolean

  /**
   * @param owner the public function that the models were passed to
   * @throws MetricsError FP_ERR_INVALID_OPTION for a value that is no model
   */
  constructor (owner: string, targets: unknown) {
    const list: unknown[] = Array.isArray(targets) ? targets : [targets]
    if (list.length === 0) throw invalidOption(owner, 'models', EXPECTED, targets)
    this.#every = list.includes('*')
    this.#models = list.filter((target) => target !== '*').map((target) => {
      const model = modelOf(target)
      if (model === undefined) throw invalidOption(owner, 'models', EXPECTED, target)
      return model
    })
  }

  /** The labels that are known before TypeORM has made its entities. */
  get labels (): string[] {
    return this.#models.map(({ label }) => label)
  }

  /**
   * The label of an entity; undefined for an entity that no model asks for, for junction tables and for views. When
   * several models match, the nearest one gives the label, so an operation counts once.
   */
  labelOf (metadata: EntityMetadataLike): string | undefined {
    if (!isModel(metadata)) return undefined
    for (const level of levelsOf(metadata)) {
      const model = this.#models.find(({ matches }) => matches(level))
      if (model !== undefined) return model.label
    }
    return this.#every ? metadata.name : undefined
  }

  /** The models that match no entity, each with its error. */
  unknown (metadatas: readonly EntityMetadataLike[]): Array<{ label: string, error: MetricsError }> {
    const entities = metadatas.filter(isModel)
    const levels = entities.flatMap(levelsOf)
    return this.#models.filter(({ matches }) => !levels.some(matches)).map(({ label }) => ({
      label,
      error: new MetricsError('FP_ERR_UNKNOWN_MODEL', `no entity, class or table of the data source is called '${label}'; ${listOf(entities)}`)
    }))
  }
}

function listOf (entities: readonly EntityMetadataLike[]): string {
  if (entities.length === 0) return 'it has no entities'
  const names = entities.map(({ name }) => name).sort()
  const rest = names.length - LISTED
  return `its entities are ${names.slice(0, LISTED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}

function modelOf (target: unknown): Model | undefined {
  if (typeof target === 'string') {
    const name = target.toLowerCase()
    return name === '' ? undefined : { label: target, matches: ({ names }) => names.includes(name) }
  }
  // An arrow function has no prototype and cannot be a class.
  if (typeof target === 'function') {
    if (target.name === '' || typeof target.prototype !== 'object') return undefined
    return { label: target.name, matches: (level) => level.target === target }
  }
  if (typeof target !== 'object' || target === null) return undefined
  const schema = (target as Partial<EntitySchemaLike>).options
  if (typeof schema !== 'object' || schema === null || typeof schema.name !== 'string' || schema.name === '') return undefined
  return typeof schema.target === 'function' ? modelOf(schema.target) : modelOf(schema.name)
}

function isModel ({ isJunction, tableType }: EntityMetadataLike): boolean {
  return !isJunction && tableType !== 'view'
}

/**
 * Does not read `inheritanceTree`: under single-table inheritance, a parent's tree also holds its children
 * (typeorm/metadata-builder/EntityMetadataBuilder.js, createEntityMetadata).
 */
function levelsOf (metadata: EntityMetadataLike): Level[] {
  const parent = metadata.parentEntityMetadata
  // A child has no table of its own, only its parent's.
  const levels = [{ target: metadata.target, names: namesOf(metadata, parent === undefined) }]
  if (typeof metadata.target === 'function') {
    for (let up: unknown = Object.getPrototypeOf(metadata.target); typeof up === 'function' && up.name !== ''; up = Object.getPrototypeOf(up)) {
      levels.push({ target: up, names: up === parent?.target ? namesOf(parent, true) : [up.name.toLowerCase()] })
    }
  }
  if (parent !== undefined && !levels.some(({ target }) => target === parent.target)) {
    levels.push({ target: parent.target, names: namesOf(parent, true) })
  }
  return levels
}

function namesOf ({ name, targetName, tableName }: EntityMetadataLike, table: boolean): string[] {
  return [name, targetName, ...table ? [tableName] : []].map((text) => text.toLowerCase())
}
