import type { Unit } from '../shape.js'

const decimal: number[] = []
for (let power = -9; power <= 15; power++) for (const digit of [1, 2, 5]) decimal.push(Number(`${digit}e${power}`))

const STEPS = {
  decimal,
  binary: Array.from({ length: 75 }, (_, power) => 2 ** (power - 20)),
  seconds: [...decimal.filter((step) => step <= 10), 15, 30, 60, 120, 300, 600, 900, 1800, ...decimal.filter((step) => step >= 1).map((hours) => hours * 3600)],
  minutely: decimal.map((step) => step / 60),
  hourly: decimal.map((step) => step / 3600)
}

const [SECOND, MINUTE, HOUR] = [1000, 60_000, 3_600_000]
/** The distances that there may be between two labels of the time axis, in milliseconds. */
export const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((count) => count * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 4, 6, 12, 24].map((count) => count * HOUR)
]

/** What an axis shows where all values are 0. */
const EMPTY: Readonly<Record<Unit, number>> = { 'per second': 1, seconds: 0.001, bytes: 1024, ratio: 0.01, cores: 0.1, number: 1 }

/** The distances that there may be between two labels of an axis up to this value. */
function steps (unit: Unit, most: number): number[] {
  if (unit === 'bytes') return STEPS.binary
  if (unit === 'seconds') return STEPS.seconds
  if (unit !== 'per second' || most >= 0.1) return STEPS.decimal
  return most * 60 >= 0.1 ? STEPS.minutely : STEPS.hourly
}

/** The values of the labels on an axis where there is room for so many: the multiples of a step. */
export function splits (unit: Unit, least: number, most: number, room: number): number[] {
  const step = steps(unit, Math.max(Math.abs(least), Math.abs(most))).find((each) => (most - least) / each <= Math.max(1, room))
  if (step === undefined) return []
  const first = Math.ceil(least / step - 1e-9)
  const last = Math.floor(most / step + 1e-9)
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => Number(((first + index) * step).toPrecision(12)))
}

/**
 * From where to where the axis goes. It begins at 0, except that large plain numbers, such as a timestamp, which hardly
 * change get an axis around them.
 */
export function bounds (unit: Unit, least: number | null, most: number | null): [number, number] {
  if (least === null || most === null) return [0, EMPTY[unit]]
  const high = Math.max(0, most)
  if (unit === 'number' && least > 1000 && most > least && most - least < most / 10) {
    const room = (most - least) / 10
    return [least - room, most + room]
  }
  const low = Math.min(0, least)
  if (high === 0 && low === 0) return [0, EMPTY[unit]]
  if (unit === 'ratio' && high <= 1 && high > 0.9) return [low * 1.08, 1]
  return [low * 1.08, high * 1.08]
}
