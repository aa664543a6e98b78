import { AssertionError } from 'node:assert'
import type { Labels, RegistryLike } from '../metrics/index.js'
import { invalidOption } from '../validation/errors.js'
import { describe } from './description.js'
import { checkRegistry, snapshot, seriesName, type Snapshot } from './snapshot.js'

/*
 * Assertions on the series of a registry. Each assertion is async. Await it: an assertion that is not awaited proves
 * nothing. It fails with Node's AssertionError, so every test runner shows `actual` and `expected`. The message lists
 * the series that are there. A series is given by its name as the metrics page shows it (a histogram has name_count,
 * name_sum, and name_bucket with `le`) and by exactly its labels. Whole numbers must be equal. Other numbers may differ
 * by the rounding error of a sum.
 */

/**
 * Asserts that a series has a value. A series that is not there fails the assertion, even if 0 is expected.
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
 * Asserts that a series changed by `delta` since `before`. A series that is not there counts as 0, because most series
 * appear at their first write.
 * @param before the earlier result of `await snapshot(registry)`
 * @throws AssertionError, or MetricsError FP_ERR_INVALID_OPTION for an argument that cannot be used
 */
export async function assertSeriesChanged (registry: RegistryLike, before: Snapshot, name: string, labels: Labels, delta: number): Promise<void> {
  checkRegistry('assertSeriesChanged', registry)
  checkNumber('assertSeriesChanged', 'delta', delta)
  const { now, from, to } = await readChange(assertSeriesChanged, registry, before, name, labels)
  if (equal(to, from + delta)) return
  fail(assertSeriesChanged, `${seriesName(name, labels)} changed by ${to - from}, from ${from} to ${to}, expected a change by ${delta}\n${describe(now, name, labels)}`, to - from, delta)
}

/**
 * Asserts that a series did not change since `before`. A series that is not there counts as 0. A metric or label that
 * is not there fails the assertion, because it must be a typing error.
 * @param before the earlier result of `await snapshot(registry)`
 * @throws AssertionError, or MetricsError FP_ERR_INVALID_OPTION for an argument that cannot be used
 */
export async function assertSeriesUnchanged (registry: RegistryLike, before: Snapshot, name: string, labels: Labels): Promise<void> {
  const { now, from, to } = await readChange(assertSeriesUnchanged, registry, before, name, labels)
  if (equal(to, from)) return
  fail(assertSeriesUnchanged, `${seriesName(name, labels)} changed from ${from} to ${to}, expected no change\n${describe(now, name, labels)}`, to, from)
}

/**
 * Asserts that `accepts` returns true for the change of a series. A series that is not there counts as 0.
 * @param before the earlier result of `await snapshot(registry)`
 * @param accepts takes the value before and the value now
 * @throws AssertionError, or MetricsError FP_ERR_INVALID_OPTION for an argument that cannot be used
 */
export async function assertSeriesCompare (
  registry: RegistryLike, before: Snapshot, name: string, labels: Labels, accepts: (before: number, after: number) => boolean
): Promise<void> {
  if (typeof accepts !== 'function') throw invalidOption('assertSeriesCompare', 'accepts', 'a function of the value before and the value now', accepts)
  const { now, from, to } = await readChange(assertSeriesCompare, registry, before, name, labels)
  if (accepts(from, to)) return
  const predicate = String(accepts).replace(/\s+/g, ' ').slice(0, 120)
  fail(assertSeriesCompare, `${seriesName(name, labels)} went from ${from} to ${to}, which is not accepted by ${predicate}\n${describe(now, name, labels)}`, { before: from, after: to }, predicate)
}

/** The assertion that failed. Its stack trace starts at its caller, so that it shows the line of the test first. */
type Assertion = (...args: never[]) => Promise<void>

function fail (assertion: Assertion, message: string, actual: unknown, expected: unknown): never {
  // Node's types want a function that takes any arguments. Node only looks for it on the stack.
  throw new AssertionError({ message, actual, expected, operator: assertion.name, stackStartFn: assertion as () => void })
}

/** Reads a registry and gives the value that a series had before and the value that it has now. */
async function readChange (assertion: Assertion, registry: RegistryLike, before: Snapshot, name: string, labels: Labels): Promise<{ now: Snapshot, from: number, to: number }> {
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
    // A getter or a proxy of the caller threw.
    return false
  }
}

/** Whether a value is a snapshot, made by any loaded copy of this package. */
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
