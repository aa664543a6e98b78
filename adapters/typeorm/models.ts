import { MetricsError, invalidOption } from '../../src/validation/errors.js'
import type { EntityMetadataLike, EntitySchemaLike } from './shapes.js'

/**
 * Which entities: a name (the entity's, its class' or its table's, in any case), a class, an EntitySchema, or '*' for every one.
 * An entity is also what it inherits from: 'walk' is a NightWalk that extends Walk, too.
 */
export type ModelTarget = string | (abstract new (...args: never) => unknown) | EntitySchemaLike

interface Model {
  /** The value of the label `model`: a name as it was given, the name of a class or schema as TypeORM has it. */
  readonly label: string
  readonly matches: (level: Level) => boolean
}

/** One step up in what an entity is: itself, then each class and entity it inherits from. */
interface Level {
  readonly target: unknown
  readonly names: readonly string[]
}

const EXPECTED = "a model's name, an entity class, an EntitySchema, '*', or an array of these"
const LISTED = 30

/** The models that were asked for. */
export class Models {
  readonly #models: readonly Model[]
  readonly #every: boolean

  /**
   * @param owner the public function they were given to
   * @throws MetricsError FP_ERR_INVALID_OPTION for what is no model
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

  /** The labels that are known before any entity is. */
  get labels (): string[] {
    return this.#models.map(({ label }) => label)
  }

  /**
   * The label of an entity; undefined where it was not asked for, and for junction tables and views. Where several of the
   * models fit, it is the nearest one's, so an operation counts once.
   */
  labelOf (metadata: EntityMetadataLike): string | undefined {
    if (!isModel(metadata)) return undefined
    for (const level of levelsOf(metadata)) {
      const model = this.#models.find(({ matches }) => matches(level))
      if (model !== undefined) return model.label
    }
    return this.#every ? metadata.name : undefined
  }

  /** What is wrong with the models that none of the entities is. */
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
  // An arrow function has no prototype and is nobody's class.
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
 * Not `inheritanceTree`: that of a parent holds its children as well, under single-table inheritance
 * (typeorm/metadata-builder/EntityMetadataBuilder.js, createEntityMetadata).
 */
function levelsOf (metadata: EntityMetadataLike): Level[] {
  const parent = metadata.parentEntityMetadata
  // The table of a child is its parent's.
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
