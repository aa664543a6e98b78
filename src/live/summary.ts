import type { SummaryItem, Unit } from './shape.js'

/** One of the numbers at the top; null where it is not known. */
export function summaryItem (id: string, title: string, unit: Unit, value: number | undefined, max?: number): SummaryItem {
  return { id, title, unit, value: value ?? null, max: max ?? null }
}
