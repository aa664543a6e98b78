import { MetricsError, invalidOption, show, showName } from './errors.js'

/** Options as a caller gave them, each read once. */
export interface Given {
  /** By name, those that are known. */
  readonly values: Readonly<Record<string, unknown>>
  /** The names of the others. */
  readonly unknown: readonly string[]
}

/**
 * Reads options: those that are known, inherited ones too, and the names of the object's own others.
 * @param owner the public function they were given to
 * @param at what stands before an option's name there, 'endpoint.'
 * @throws MetricsError FP_ERR_INVALID_OPTION for what is no object, or where a getter or a proxy throws
 */
export function readGiven (owner: string, at: string, options: unknown, known: readonly string[]): Given {
  if (!isRecord(options)) throw notAnObject(owner, at, options)
  const values: Record<string, unknown> = {}
  for (const name of known) {
    const value = readable(owner, at + name, () => options[name])
    if (value !== undefined) values[name] = value
  }
  const names = readable(owner, at === '' ? 'options' : at.slice(0, -1), () => Object.keys(options))
  return { values, unknown: names.filter((name) => !known.includes(name)) }
}

/**
 * Refuses options that are not known.
 * @param allowed what is known, read after "must be"
 * @param spellings how to write here what other libraries name differently
 * @throws MetricsError FP_ERR_INVALID_OPTION for the first of them
 */
export function refuseUnknown (owner: string, at: string, options: unknown, unknown: readonly string[], allowed: string, spellings: ReadonlyMap<string, string>): void {
  const [name] = unknown
  if (name === undefined) return
  const option = at + showName(name)
  const value = readable(owner, option, () => (options as Record<string, unknown>)[name])
  const ours = spellings.get(name)
  throw invalidOption(owner, option, ours === undefined ? allowed : `left out; ${ours}`, value)
}

/**
 * That options are an object, and that each is known.
 * @returns a copy of them
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readKnown (owner: string, options: unknown, known: readonly string[], spellings: ReadonlyMap<string, string> = new Map()): Readonly<Record<string, unknown>> {
  const { values, unknown } = readGiven(owner, '', options, known)
  refuseUnknown(owner, '', options, unknown, `left out; the options are ${known.join(', ')}`, spellings)
  return values
}

/** What is in an object or an array of a caller's, by name. @throws MetricsError FP_ERR_INVALID_OPTION where a getter or a proxy throws */
export function entriesOf (owner: string, option: string, given: object): Array<[name: string, value: unknown]> {
  return readable(owner, option, () => Object.entries(given))
}

/** Whether it is an object of options. */
export function isRecord (value: unknown): value is Record<string, unknown> {
  return holds(() => typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Promise))
}

/** What a question about something of a caller's says; false where a getter or a proxy throws. */
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

function readable<T> (owner: string, option: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new MetricsError('FP_ERR_INVALID_OPTION', `${owner} option '${option}' must be readable, got ${show(error)} from its getter or proxy`)
  }
}
