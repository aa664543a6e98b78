/**
 * The coarsest and the finest schema that Prometheus knows (https://prometheus.io/docs/specs/native_histograms/,
 * "Schema").
 */
export const MIN_SCHEMA = -4
export const MAX_SCHEMA = 8

/**
 * One number, as a 64-bit float and as its two halves. The high half has the sign, 11 bits of exponent and 20 bits of
 * the fraction.
 */
const FLOAT = new Float64Array(1)
const HIGH_FIRST = new Uint8Array(Uint32Array.of(1).buffer)[0] === 0
const HIGH = new Uint32Array(FLOAT.buffer, HIGH_FIRST ? 0 : 4, 1)
const LOW = new Uint32Array(FLOAT.buffer, HIGH_FIRST ? 4 : 0, 1)

/** The number of bits in a float's fraction, and the bias that is added to its exponent to store it. */
const FRACTION = 52
const BIAS = 1023

/**
 * The exponential buckets of one schema: bucket i holds values in (base^(i-1), base^i], where base is 2^(2^-schema).
 *
 * The index of a bucket is computed from a float's exponent and fraction. The fractions are cut into cells, twice as
 * many as there are buckets between two powers of two. A cell is narrower than any bucket, so it has at most one bound:
 * one lookup and one comparison find the bucket. Schemas below 0 merge buckets of schema 0.
 */
export class NativeScale {
  readonly schema: number
  /** The number of buckets between two powers of two, as an exponent of two. */
  readonly #fine: number
  /** The number of buckets of schema 0 in one bucket, as an exponent of two. */
  readonly #coarse: number
  readonly #cellShift: number
  /**
   * Four numbers for each cell: the part of the index that the bounds below the cell give, the two halves of the next
   * bound's fraction, and an unused one for alignment.
   */
  readonly #cells: Int32Array

  private constructor (schema: number) {
    this.schema = schema
    this.#fine = Math.max(schema, 0)
    this.#coarse = Math.max(-schema, 0)
    this.#cellShift = 19 - this.#fine
    this.#cells = cellsOf(this.#fine, (1 << this.#coarse) - 1)
  }

  /** @param schema -4 to 8 */
  static of (schema: number): NativeScale {
    return (scales[schema - MIN_SCHEMA] ??= new NativeScale(schema))
  }

  /** The index of the bucket that holds a finite value greater than 0. */
  indexOf (value: number): number {
    FLOAT[0] = value
    const high = HIGH[0] as number
    // A subnormal number has no exponent of its own, so it is scaled by 2^64, which is a bound in every schema.
    if (high < 0x100000) return this.indexOf(value * 2 ** 64) - 64 * 2 ** this.schema
    const cells = this.#cells
    const fraction = high & 0xfffff
    const cell = (fraction >>> this.#cellShift) << 2
    const bound = cells[cell + 1] as number
    // The sign of the difference is used instead of a comparison. The processor cannot predict the result of a
    // comparison here, and a wrong prediction costs more than all the rest.
    let index = ((high >>> 20) << this.#fine) + (cells[cell] as number) + ((bound - fraction) >>> 31)
    if (fraction === bound && (LOW[0] as number) > (cells[cell + 2] as number) >>> 0) index++
    return index >> this.#coarse
  }
}

/** The scales by schema, from the coarsest on. */
const scales: NativeScale[] = []

/** @param roundUp is added to an index before the index is divided */
function cellsOf (fine: number, roundUp: number): Int32Array {
  const bounds = fractionsOf(fine)
  const width = 2 ** (FRACTION - fine - 1)
  const cells = new Int32Array(bounds.length << 3)
  let below = 0
  for (let cell = 0; cell < bounds.length << 1; cell++) {
    while (below < bounds.length && (bounds[below] as number) < cell * width) below++
    const bound = bounds[below] ?? 2 ** FRACTION
    cells.set([below - (BIAS << fine) + roundUp, Math.floor(bound / 2 ** 32), bound % 2 ** 32], cell << 2)
  }
  return cells
}

/**
 * The fractions of the bounds from 1 to below 2, which are the powers of 2^(2^-fine). Except for 1, no float is exactly
 * such a bound, so each fraction is the largest that is not above its bound.
 */
function fractionsOf (fine: number): number[] {
  const bits = 256n
  const one = 1n << bits
  let root = one << 1n
  for (let i = 0; i < fine; i++) root = squareRoot(root << bits)
  const fractions: number[] = []
  for (let power = one; fractions.length < 2 ** fine; power = (power * root) >> bits) fractions.push(Number((power - one) >> (bits - BigInt(FRACTION))))
  return fractions
}

/** The whole part of a square root, by Newton's method from above. */
function squareRoot (square: bigint): bigint {
  let root = 1n << BigInt((square.toString(2).length >> 1) + 1)
  for (;;) {
    const next = (root + square / root) >> 1n
    if (next >= root) return root
    root = next
  }
}
