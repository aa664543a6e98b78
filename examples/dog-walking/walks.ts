import { IsNull, Not, QueryFailedError, type DataSource } from 'typeorm'
import { Dog } from './entities/dog.js'
import { Walk } from './entities/walk.js'
import { Walker } from './entities/walker.js'
import { codeOf } from './errors.js'

/** What is wrong with a form, by its field. */
export type Problems<F extends string = string> = Partial<Record<F, string>>

/** What came of a form. */
export type Outcome<F extends string> = { walk: Walk, problems?: never } | { problems: Problems<F>, walk?: never }

export type StartFields = 'walker' | 'dog'
export type CompleteFields = 'walk' | 'distance'

const LONGEST_WALK_METRES = 100_000
const SHOWN = 10
const UNIQUE_VIOLATION = '23505'

/** The company's walks. */
export class Walks {
  readonly #dataSource: DataSource

  constructor (dataSource: DataSource) {
    this.#dataSource = dataSource
  }

  async start (form: Record<StartFields, string>): Promise<Outcome<StartFields>> {
    const { manager } = this.#dataSource
    const walker = await this.#find(Walker, form.walker)
    const dog = await this.#find(Dog, form.dog)
    const problems: Problems<StartFields> = {}
    if (walker === null) problems.walker = form.walker === '' ? 'Choose a walker.' : 'We have no such walker.'
    if (dog === null) problems.dog = form.dog === '' ? 'Choose a dog.' : 'We know no such dog.'
    else if (await manager.existsBy(Walk, { dog: { id: dog.id }, endedAt: IsNull() })) problems.dog = isOut(dog)
    if (walker === null || dog === null || problems.dog !== undefined) return { problems }

    const walk = manager.create(Walk, { walker, dog, startedAt: new Date(), endedAt: null, distance: null })
    try {
      return { walk: await manager.save(walk) }
    } catch (error) {
      // The index walk_one_at_a_time: the check above does not know of a walk that somebody else starts at the same moment.
      if (!(error instanceof QueryFailedError) || codeOf(error.driverError) !== UNIQUE_VIOLATION) throw error
      return { problems: { dog: isOut(dog) } }
    }
  }

  async complete (form: Record<CompleteFields, string>): Promise<Outcome<CompleteFields>> {
    const problems: Problems<CompleteFields> = {}
    const distance = readDistance(form.distance)
    if (typeof distance === 'string') problems.distance = distance

    return this.#dataSource.transaction(async (manager) => {
      const id = readId(form.walk)
      // Locked, so that of two who complete it at once the second one finds it completed.
      const walk = id === undefined ? null : await manager.findOne(Walk, { where: { id }, lock: { mode: 'pessimistic_write' } })
      if (walk === null) problems.walk = form.walk === '' ? 'Choose a walk.' : 'There is no such walk.'
      else if (walk.endedAt !== null) problems.walk = 'This walk is completed already.'
      if (walk === null || problems.walk !== undefined || typeof distance === 'string') return { problems }

      return { walk: await manager.save(Object.assign(walk, { distance, endedAt: new Date() })) }
    })
  }

  /** Those that are out now, the longest first. */
  inProgress (): Promise<Walk[]> {
    return this.#dataSource.manager.find(Walk, { where: { endedAt: IsNull() }, relations: { dog: true, walker: true }, order: { startedAt: 'ASC', id: 'ASC' } })
  }

  /** The last ones that ended, the latest first. */
  completed (): Promise<Walk[]> {
    return this.#dataSource.manager.find(Walk, {
      where: { endedAt: Not(IsNull()) }, relations: { dog: true, walker: true }, order: { endedAt: 'DESC', id: 'DESC' }, take: SHOWN
    })
  }

  walkers (): Promise<Walker[]> {
    return this.#dataSource.manager.find(Walker, { order: { name: 'ASC' } })
  }

  dogsAtHome (): Promise<Dog[]> {
    return this.#dataSource.manager.createQueryBuilder(Dog, 'dog')
      .where('NOT EXISTS (SELECT FROM walk WHERE walk.dog_id = dog.id AND walk.ended_at IS NULL)')
      .orderBy('dog.name')
      .getMany()
  }

  async #find<E extends Walker | Dog> (entity: new () => E, text: string): Promise<E | null> {
    const id = readId(text)
    return id === undefined ? null : this.#dataSource.manager.findOne<Walker | Dog>(entity, { where: { id } }) as Promise<E | null>
  }
}

function isOut (dog: Dog): string {
  return `${dog.name} is out already.`
}

/** Nine digits fit the column. */
function readId (text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

/** The metres, or what is wrong with them. */
function readDistance (text: string): number | string {
  if (text === '') return 'How far did they go?'
  const metres = Number(text)
  if (Number.isNaN(metres)) return 'The distance must be a number of metres.'
  if (metres < 0) return 'The distance cannot be negative.'
  if (metres > LONGEST_WALK_METRES) return `Nobody walks more than ${LONGEST_WALK_METRES} metres.`
  return Number.isInteger(metres) ? metres : 'The distance must be in whole metres.'
}
