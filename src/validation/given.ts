import { MetricsError, invalidOption, show, showName } from './errors.js'

/** Options as a caller gave them, each read once. */
export interface Given {
  /** The known options, by name. */
  readonly values: Readonly<Record<string, unknown>>
  /** The names of the other options. */
  readonly unknown: readonly string[]
}

/**
 * Reads the known options, inherited ones too, and the names of the object's own other options.
 * @param owner the public function that the options were passed to
 * @param at the text before an option's name there, 'endpoint.'
 * @throws MetricsError FP_ERR_INVALID_OPTION for a value that is no object, or when a getter or a proxy throws
 */
export function readGiven (owner: string, at: string, options: unknown, known: readonly string[]): Given {
  if (!isRecord(options)) throw notAnObject(owner, at, options)
  const values: Record<string, unknown> = {}
  for (const name of known) {
    const value = readOrThrow(owner, at + name, () => options[name])
    if (value !== undefined) values[name] = value
  }
  const names = readOrThrow(owner, at === '' ? 'options' : at.slice(0, -1), () => Object.keys(options))
  return { values, unknown: names.filter((name) => !known.includes(name)) }
}

/**
 * Refuses options that are not known.
 * @param allowed the known options, read after "must be"
 * @param spellings how to write here the options that other libraries name differently
 * @throws MetricsError FP_ERR_INVALID_OPTION for the first unknown option
 */
export function refuseUnknown (owner: string, at: string, options: unknown, unknown: readonly string[], allowed: string, spellings: ReadonlyMap<string, string>): void {
  const [name] = unknown
  if (name === undefined) return
  const option = at + showName(name)
  const value = readOrThrow(owner, option, () => (options as Record<string, unknown>)[name])
  const ours = spellings.get(name)
  throw invalidOption(owner, option, ours === undefined ? allowed : `left out; ${ours}`, value)
}

/**
 * Checks that the options are an object, and that each option is known.
 * @returns a copy of the options
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readKnown (owner: string, options: unknown, known: readonly string[], spellings: ReadonlyMap<string, string> = new Map()): Readonly<Record<string, unknown>> {
  const { values, unknown } = readGiven(owner, '', options, known)
  refuseUnknown(owner, '', options, unknown, `left out; the options are ${known.join(', ')}`, spellings)
  return values
}

/**
 * The entries of a caller's object or array, by name.
 * @throws MetricsError FP_ERR_INVALID_OPTION when a getter or a proxy throws
 */
export function entriesOf (owner: string, option: string, given: object): Array<[name: string, value: unknown]> {
  return readOrThrow(owner, option, () => Object.entries(given))
}

/**
 * Checks the option `buckets` of an adapter.
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readBuckets (owner: string, buckets: unknown): readonly number[] | undefined {
  if (buckets !== undefined && !areBuckets(buckets)) throw invalidOption(owner, 'buckets', 'an array of growing numbers', buckets)
  return buckets
}

function areBuckets (value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && [...value].every((bound, i, bounds) => {
    return typeof bound === 'number' && (i === 0 ? Number.isFinite(bound) : bound > bounds[i - 1])
  })
}

/** Whether a value is an object of options. */
export function isRecord (value: unknown): value is Record<string, unknown> {
  return holds(() => typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Promise))
}

/** The answer of a check on a caller's value; false when a getter or a proxy throws. */
export function holds (ask: () => boolean): boolean {
  try {
    return ask()
  } catch {
    return false
  }
}

function notAnObject (owner: string, at: string, options: unknown): MetricsError {
  if (at !== '') return invalidOption(owner, at.slice(0, -1), 'an object', options)
  return new MetricsError('FP_ERR_INVALID_OPTION', `${owner} options must be an object, got ${show(options)}`)
}

function readOrThrow<T> (owner: string, option: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new MetricsError('FP_ERR_INVALID_OPTION', `${owner} option '${option}' must be readable, got ${show(error)} from its getter or proxy`)
  }
}
