import type { Unit } from '../shape.js'

/** A number as it is written: its digits, and the unit after them. */
export interface Written {
  readonly digits: string
  readonly unit: string
}

/** What is written where a number is not known. */
export const NO_DATA = 'no data'

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })

const SECONDS = [[1e-6, 'µs'], [1e-3, 'ms'], [1, 's'], [60, 'min'], [3600, 'h']] as const
const BYTES = [[1, 'B'], [1024, 'KiB'], [1024 ** 2, 'MiB'], [1024 ** 3, 'GiB'], [1024 ** 4, 'TiB']] as const
const RATES = [[1 / 3600, '/h'], [1 / 60, '/min'], [1, '/s']] as const

/** The size of a unit, and its name. */
type Step = readonly [size: number, name: string]

/** A rate below this is told by the minute, and a sixtieth of this by the hour. */
const SLOW = 0.1

/** The value in its unit, with all digits of a whole number and three digits of any other. */
export function write (value: number | null, unit: Unit): Written {
  if (value === null) return { digits: NO_DATA, unit: '' }
  if (unit === 'ratio') return { digits: percent(value), unit: '%' }
  if (unit === 'number') return { digits: plain(value), unit: '' }
  // A ten-thousandth of a core is nothing that anybody looks for.
  if (unit === 'cores') return { digits: plain(Number(value.toFixed(4))), unit: value === 1 ? 'core' : 'cores' }
  if (value === 0) return { digits: '0', unit: unit === 'seconds' ? 's' : unit === 'bytes' ? 'B' : '' }
  const [size] = stepOf(value, unit)
  const [rounded, name] = stepOf(round(value / size) * size, unit)
  return { digits: plain(value / rounded), unit: name }
}

/** The value and its unit as one text. */
export function text (value: number | null, unit: Unit): string {
  const written = write(value, unit)
  return written.unit === '' ? written.digits : `${written.digits} ${written.unit}`
}

/** The texts of an axis, all of one unit and with the same number of decimals. */
export function ticks (values: readonly number[], unit: Unit): string[] {
  const most = Math.max(...values.map(Math.abs), 0)
  const [size, name] = unit === 'ratio' ? [0.01, '%'] as const : stepOf(most, unit)
  const between = values.length > 1 ? Math.abs((values[1] ?? 0) - (values[0] ?? 0)) / size : most / size
  const decimals = between > 0 ? Math.min(Math.max(0, -Math.floor(Math.log10(between) + 1e-9)), 9) : 0
  const fixed = new Intl.NumberFormat('en', { maximumFractionDigits: decimals + (needsMore(between, decimals) ? 1 : 0) })
  return values.map((value) => {
    if (value === 0) return '0'
    const digits = Math.abs(value / size) >= 1e13 ? exponential(value / size) : fixed.format(value / size)
    return name === '' ? digits : `${digits} ${name}`
  })
}

/** Every digit of a count, with separators of thousands. */
export function allDigits (value: number): string {
  return Number.isInteger(value) ? whole.format(value) : plain(value)
}

/** The text with its control characters, and those that turn the direction of writing, made visible. */
export function visible (label: string): string {
  return label.replace(/\p{Cc}|[\u202a-\u202e\u2066-\u2069\u2028\u2029]/gu, (character) => {
    const code = character.charCodeAt(0)
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : '\ufffd'
  })
}

/** A word with its number: '1 process', '3 processes'. */
export function counted (count: number, one: string, many: string): string {
  return `${whole.format(count)} ${count === 1 ? one : many}`
}

function stepOf (value: number, unit: Unit): Step {
  const size = Math.abs(value)
  if (unit === 'per second') return size === 0 || size >= SLOW ? RATES[2] : size * 60 >= SLOW ? RATES[1] : RATES[0]
  if (unit === 'cores') return [1, '']
  const steps: readonly Step[] = unit === 'seconds' ? SECONDS : unit === 'bytes' ? BYTES : [[1, '']]
  if (size === 0 && unit === 'seconds') return SECONDS[2]
  return steps.filter(([from]) => size >= from).at(-1) ?? steps[0] ?? [1, '']
}

/** What is left of a number when it is written: three digits, or those before the point. */
function round (value: number): number {
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3))
}

function plain (value: number): string {
  const size = Math.abs(value)
  if (size >= 1e15 || (size > 0 && size < 1e-6)) return exponential(value)
  return size >= 1000 || Number.isInteger(value) ? whole.format(value) : short.format(value)
}

function exponential (value: number): string {
  return value.toExponential(2).replace(/\.?0+e/, 'e').replace('e+', 'e')
}

function percent (value: number): string {
  if (value > 0 && value < 1e-5) return '< 0.001'
  return short.format(value * 100)
}

/** Whether steps such as 2.5 need one decimal more than their size says. */
function needsMore (between: number, decimals: number): boolean {
  const scaled = between * 10 ** decimals
  return Math.abs(scaled - Math.round(scaled)) > 1e-6
}
