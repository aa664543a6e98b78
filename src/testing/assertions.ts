import { AssertionError } from 'node:assert'
import type { Labels, RegistryLike } from '../metrics/index.js'
import { invalidOption } from '../validation/errors.js'
import { describe } from './description.js'
import { checkRegistry, snapshot, seriesName, type Snapshot } from './snapshot.js'

/*
 * Assertions on the series of a registry. Each is async (await it: an assertion nobody waits for proves nothing) and fails with
 * node's AssertionError, so every test runner shows `actual` and `expected`; its message lists the series that are there.
 * A series is its name as the metrics page shows it (a histogram's are name_count, name_sum, and name_bucket with `le`) and
 * exactly its labels. Whole numbers must be equal; others may differ by what rounding does to a sum.
 */

/**
 * Asserts that a series has a value. A series that is not there fails, even where 0 is expected.
 * @throws AssertionError, or MetricsError FP_ERR_INVALID_OPTION for an argument that cannot be used
 */
export async function assertSeries (registry: RegistryLike, name: string, labels: Labels, expected: number): Promise<void> {
  checkRegistry('assertSeries', registry)
  checkSeries('assertSeries', name, labels)
  checkNumber('assertSeries', 'expected', expected)
  const now = await snapshot(registry)
  const actual = now.value(name, labels)
  if (actual !== undefined && equal(actual, expected)) return
  const series = seriesName(name, labels)
  const said = actual === undefined ? `there is no series ${series}, expected it to be ${expected}` : `${series} is ${actual}, expected ${expected}`
  fail(assertSeries, `${said}\n${describe(now, name, labels)}`, actual, expected)
}

/**
 * Asserts that a series changed by `delta` since `before`. A series that is not there counts as 0, for most appear at their first write.
 * @param before what `await snapshot(registry)` gave
 * @throws AssertionError, or MetricsError FP_ERR_INVALID_OPTION for an argument that cannot be used
 */
export async function assertSeriesChanged (registry: RegistryLike, before: Snapshot, name: string, labels: Labels, delta: number): Promise<void> {
  checkRegistry('assertSeriesChanged', registry)
  checkNumber('assertSeriesChanged', 'delta', delta)
  const { now, from, to } = await change(assertSeriesChanged, registry, before, name, labels)
  if (equal(to, from + delta)) return
  fail(assertSeriesChanged, `${seriesName(name, labels)} changed by ${to - from}, from ${from} to ${to}, expected a change by ${delta}\n${describe(now, name, labels)}`, to - from, delta)
}

/**
 * Asserts that a series did not change since `before`. A series that is not there counts as 0; a metric or label that is not
 * there fails, for it is a slip of the pen.
 * @param before what `await snapshot(registry)` gave
 * @throws AssertionError, or MetricsError FP_ERR_INVALID_OPTION for an argument that cannot be used
 */
export async function assertSeriesUnchanged (registry: RegistryLike, before: Snapshot, name: string, labels: Labels): Promise<void> {
  const { now, from, to } = await change(assertSeriesUnchanged, registry, before, name, labels)
  if (equal(to, from)) return
  fail(assertSeriesUnchanged, `${seriesName(name, labels)} changed from ${from} to ${to}, expected no change\n${describe(now, name, labels)}`, to, from)
}

/**
 * Asserts that a series changed in a way that `accepts` says yes to. A series that is not there counts as 0.
 * @param before what `await snapshot(registry)` gave
 * @param accepts takes the value before and the value now
 * @throws AssertionError, or MetricsError FP_ERR_INVALID_OPTION for an argument that cannot be used
 */
export async function assertSeriesCompare (
  registry: RegistryLike, before: Snapshot, name: string, labels: Labels, accepts: (before: number, after: number) => boolean
): Promise<void> {
  if (typeof accepts !== 'function') throw invalidOption('assertSeriesCompare', 'accepts', 'a function of the value before and the value now', accepts)
  const { now, from, to } = await change(assertSeriesCompare, registry, before, name, labels)
  if (accepts(from, to)) return
  const predicate = String(accepts).replace(/\s+/g, ' ').slice(0, 120)
  fail(assertSeriesCompare, `${seriesName(name, labels)} went from ${from} to ${to}, which is not accepted by ${predicate}\n${describe(now, name, labels)}`, { before: from, after: to }, predicate)
}

/** The function that failed: where its stack trace starts, so that it shows the line of the test first. */
type Assertion = (...args: never[]) => Promise<void>

function fail (assertion: Assertion, message: string, actual: unknown, expected: unknown): never {
  // node's types want a function that takes anything; it is only looked for on the stack.
  throw new AssertionError({ message, actual, expected, operator: assertion.name, stackStartFn: assertion as () => void })
}

/** What a series was and is. */
async function change (assertion: Assertion, registry: RegistryLike, before: Snapshot, name: string, labels: Labels): Promise<{ now: Snapshot, from: number, to: number }> {
  checkRegistry(assertion.name, registry)
  checkSeries(assertion.name, name, labels)
  if (!isSnapshot(before)) throw invalidOption(assertion.name, 'before', "what 'await snapshot(registry)' gave", before)
  const now = await snapshot(registry)
  const [from, to] = [before.value(name, labels), now.value(name, labels)]
  if (from === undefined && to === undefined && (now.samples(name) === undefined || now.unknownLabels(name, labels).length > 0)) {
    fail(assertion, `there is no series ${seriesName(name, labels)}, and there can be none\n${describe(now, name, labels)}`, undefined, seriesName(name, labels))
  }
  return { now, from: from ?? 0, to: to ?? 0 }
}

function equal (a: number, b: number): boolean {
  if (a === b || Object.is(a, b)) return true
  if (!Number.isFinite(a) || !Number.isFinite(b) || (Number.isInteger(a) && Number.isInteger(b))) return false
  return Math.abs(a - b) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b))
}

function checkSeries (owner: string, name: string, labels: Labels): void {
  if (typeof name !== 'string') throw invalidOption(owner, 'name', 'the name of a series', name)
  if (!areLabels(labels)) throw invalidOption(owner, 'labels', 'an object of label values, {} for none', labels)
}

function areLabels (labels: unknown): boolean {
  try {
    return typeof labels === 'object' && labels !== null && !Array.isArray(labels) &&
      Object.values(labels).every((value) => ['string', 'number', 'boolean', 'undefined'].includes(typeof value))
  } catch {
    // A getter or a proxy of the caller's.
    return false
  }
}

/** Of whichever copy of this package. */
function isSnapshot (before: unknown): before is Snapshot {
  try {
    const { value, samples } = before as Partial<Snapshot>
    return typeof value === 'function' && typeof samples === 'function'
  } catch {
    return false
  }
}

function checkNumber (owner: string, argument: string, value: unknown): void {
  if (typeof value !== 'number') throw invalidOption(owner, argument, 'a number', value)
}
