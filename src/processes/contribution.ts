import { crc32 } from 'node:zlib'
import { isLabelName, isMetricName, type Exemplar, type LabelColumns } from '../metrics/index.js'
import { isRecord } from '../validation/given.js'
import { MERGES, widthOf, type Definition } from './definition.js'

/*
 * What one process has counted, as bytes:
 *
 *   preamble   magic, the lengths of what follows, sequence, time, checksums: 64 bytes
 *   header     JSON: who wrote it, and a definition of each family with the lengths of its parts
 *   body       for each family: its label values (JSON), the numbers of each series' label values (Uint32), its numbers
 *              (Float64), native buckets (Float64), exemplars (JSON). Each part begins at a multiple of 8 bytes.
 *
 * Numbers are in the byte order of the machine: nobody else reads them.
 */

/** What is known of a contribution before its numbers are read. */
export interface Head {
  /** Who wrote it: a name that never comes again. */
  readonly id: string
  /** Grows with each contribution of a process. */
  readonly sequence: number
  /** Milliseconds since the epoch. */
  readonly written: number
  readonly families: readonly FamilyHead[]
  /** What else the author had to say. */
  readonly extra: unknown
}

export interface FamilyHead {
  readonly definition: Definition
  /** The number of series. */
  readonly size: number
  /**
   * The lengths of the parts in bytes, without padding: values, numbers of values, numbers, native buckets, exemplars.
   */
  readonly parts: readonly [number, number, number, number, number]
}

/** One family of a contribution. */
export interface Contributed {
  readonly definition: Definition
  readonly size: number
  readonly labels: LabelColumns
  /** Series by series: as many as widthOf() says. */
  readonly numbers: Float64Array
  /** Native buckets, series by series: see native-numbers.ts. Empty if there are none. */
  readonly natives: Float64Array
  readonly exemplars: ReadonlyArray<readonly [series: number, bucket: number, Exemplar]>
}

/** A family that is to be written. */
export interface Contributor {
  readonly definition: Definition
  readonly size: number
  readonly labels: LabelColumns
  numbersInto (target: Float64Array, at: number): void
  readonly natives: Float64Array
  readonly exemplars: ReadonlyArray<readonly [series: number, bucket: number, Exemplar]>
}

/** Bytes that are no contribution: cut off, changed, or of somebody else. */
export class NoContribution extends Error {
  constructor (why: string) {
    super(why)
    this.name = 'NoContribution'
  }
}

const MAGIC = Buffer.from('fpsnap\x01\n')
export const PREAMBLE = 64
const EMPTY = Buffer.alloc(0)
/** No process has more. */
const MOST_BYTES = 2 ** 31

/** The bytes of a family's label sets, as long as these are the same. */
const labelBytes = new WeakMap<LabelColumns, readonly [values: Buffer, numbers: Buffer]>()

function bytesOf (labels: LabelColumns): readonly [Buffer, Buffer] {
  let bytes = labelBytes.get(labels)
  if (bytes === undefined) {
    const { numbers } = labels
    bytes = [Buffer.from(JSON.stringify(labels.values)), Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength)]
    labelBytes.set(labels, bytes)
  }
  return bytes
}

function padded (length: number): number {
  return (length + 7) & ~7
}

/** Writes contributions of one process, each into the bytes of the one before the last, if these are enough. */
export class Contributions {
  readonly #id: string
  #sequence = 0
  #last: Buffer = EMPTY
  #spare: Buffer = EMPTY

  /** @param id of the author */
  constructor (id: string) {
    this.#id = id
  }

  /**
   * The contribution as bytes, which stay as they are until the next but one is written; undefined if it is what the
   * last one was.
   */
  next (families: readonly Contributor[], extra: unknown = undefined, force = false): Buffer | undefined {
    const parts = families.map((family) => {
      const [values, numbers] = bytesOf(family.labels)
      const exemplars = family.exemplars.length === 0 ? EMPTY : Buffer.from(JSON.stringify(family.exemplars))
      return { values, numbers, exemplars, lengths: [values.length, numbers.length, family.size * widthOf(family.definition) * 8, family.natives.byteLength, exemplars.length] as const }
    })
    const heads = families.map(({ definition, size }, i): FamilyHead => ({ definition, size, parts: [...(parts[i] as { lengths: FamilyHead['parts'] }).lengths] }))
    const header = Buffer.from(JSON.stringify({ id: this.#id, families: heads, extra }))
    const body = parts.reduce((sum, { lengths }) => lengths.reduce((sum: number, length) => sum + padded(length), sum), 0)
    const length = PREAMBLE + padded(header.length) + body
    const bytes = this.#room(length)
    bytes.fill(0, PREAMBLE + header.length, PREAMBLE + padded(header.length))
    header.copy(bytes, PREAMBLE)
    let at = PREAMBLE + padded(header.length)
    for (const [i, family] of families.entries()) {
      const { values, numbers, exemplars, lengths } = parts[i] as (typeof parts)[number]
      at = put(bytes, at, values)
      at = put(bytes, at, numbers)
      family.numbersInto(new Float64Array(bytes.buffer, bytes.byteOffset + at, lengths[2] / 8), 0)
      at += lengths[2]
      new Float64Array(bytes.buffer, bytes.byteOffset + at, family.natives.length).set(family.natives)
      at += lengths[3]
      at = put(bytes, at, exemplars)
    }
    const isSame = !force && this.#last.length === length && bytes.subarray(PREAMBLE).equals(this.#last.subarray(PREAMBLE))
    if (isSame) {
      this.#spare = bytes
      return undefined
    }
    MAGIC.copy(bytes)
    bytes.writeUInt32LE(header.length, 8)
    bytes.writeUInt32LE(body, 12)
    bytes.writeDoubleLE(++this.#sequence, 16)
    bytes.writeDoubleLE(Date.now(), 24)
    bytes.writeUInt32LE(crc32(bytes.subarray(PREAMBLE, PREAMBLE + header.length)), 32)
    bytes.writeUInt32LE(crc32(bytes.subarray(length - body, length)), 36)
    bytes.fill(0, 40, PREAMBLE)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 40)), 40)
    this.#spare = this.#last
    this.#last = bytes
    return bytes
  }

  /** Bytes to write into. They begin at a multiple of 8. */
  #room (length: number): Buffer {
    const spare = this.#spare
    this.#spare = EMPTY
    if (spare.buffer.byteLength >= length && spare.length > 0) return Buffer.from(spare.buffer, 0, length)
    return Buffer.from(new ArrayBuffer(length + (length >> 3)), 0, length)
  }
}

function put (bytes: Buffer, at: number, part: Uint8Array): number {
  bytes.set(part, at)
  const end = at + part.length
  bytes.fill(0, end, padded(end))
  return padded(end)
}

/** What a preamble says of the lengths. @throws NoContribution */
export function readPreamble (bytes: Buffer): { header: number, body: number, sequence: number, written: number, crcOfHeader: number, crcOfBody: number } {
  if (bytes.length < PREAMBLE) throw new NoContribution('it is cut off before its preamble ends')
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new NoContribution('it does not begin as contributions of this version do')
  if (bytes.readUInt32LE(40) !== crc32(bytes.subarray(0, 40))) throw new NoContribution('the checksum of its preamble is wrong')
  return {
    header: bytes.readUInt32LE(8), body: bytes.readUInt32LE(12), sequence: bytes.readDoubleLE(16), written: bytes.readDoubleLE(24), crcOfHeader: bytes.readUInt32LE(32), crcOfBody: bytes.readUInt32LE(36)
  }
}

/** @param bytes the preamble and the header @throws NoContribution */
export function readHead (bytes: Buffer): Head {
  const { header, sequence, written, crcOfHeader, body } = readPreamble(bytes)
  const text = bytes.subarray(PREAMBLE, PREAMBLE + header)
  if (text.length < header) throw new NoContribution('it is cut off in its header')
  if (crc32(text) !== crcOfHeader) throw new NoContribution('the checksum of its header is wrong')
  const { id, families, extra } = parsed(text) as { id: string, families: FamilyHead[], extra: unknown }
  if (typeof id !== 'string' || !Array.isArray(families) || !families.every(isFamilyHead)) throw new NoContribution('its header is none')
  if (families.reduce((sum, { parts }) => parts.reduce((sum: number, length) => sum + padded(length), sum), 0) !== body) throw new NoContribution('its parts are not as long as its body')
  return { id, families, extra, sequence, written }
}

/** The families of a contribution, one by one. @param bytes of the body @throws NoContribution */
export function * readBody (bytes: Buffer, crc: number, { families }: Head): Generator<Contributed> {
  if (crc32(bytes) !== crc) throw new NoContribution('the checksum of its body is wrong')
  let at = 0
  const part = (length: number) => {
    const from = at
    at += padded(length)
    return bytes.subarray(from, from + length)
  }
  for (const { definition, size, parts: [valuesLength, labelsLength, numbersLength, nativesLength, exemplarsLength] } of families) {
    const values = parsed(part(valuesLength)) as string[][]
    const numbersOfLabels = words(part(labelsLength))
    const numbers = doubles(part(numbersLength))
    const natives = doubles(part(nativesLength))
    const exemplars = exemplarsLength === 0 ? [] : parsed(part(exemplarsLength)) as Contributed['exemplars']
    const { labels: names } = definition
    if (!Array.isArray(values) || values.length !== names.length || numbersOfLabels.length !== size * names.length || numbers.length !== size * widthOf(definition)) {
      throw new NoContribution(`the parts of '${definition.name}' do not fit each other`)
    }
    for (let i = 0; i < numbersOfLabels.length; i++) {
      if ((numbersOfLabels[i] as number) >= (values[i % names.length] as string[]).length) throw new NoContribution(`a label of '${definition.name}' has a value that is not there`)
    }
    yield { definition, size, labels: { names, values: values.map((of) => of.map((value) => value ?? undefined)), numbers: numbersOfLabels }, numbers, natives, exemplars }
  }
}

function isFamilyHead (head: unknown): head is FamilyHead {
  if (!isRecord(head)) return false
  const { definition, size, parts } = head
  return isRecord(definition) && isMetricName(definition['name']) && typeof definition['help'] === 'string' && MERGES.includes(definition['merge']) &&
    Array.isArray(definition['labels']) && definition['labels'].every(isLabelName) && Array.isArray(definition['bounds']) && Array.isArray(definition['quantiles']) &&
    typeof definition['since'] === 'number' && isSize(size) && Array.isArray(parts) && parts.length === 5 && parts.every(isSize)
}

function isSize (value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < MOST_BYTES
}

function parsed (bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    throw new NoContribution('a part of it is no JSON')
  }
}

/** Numbers of a part. Parts begin at multiples of 8, if the body does. */
function doubles (part: Buffer): Float64Array {
  if (part.length % 8 !== 0) throw new NoContribution('a part of it is not as long as its numbers')
  return new Float64Array(part.buffer, part.byteOffset, part.length / 8)
}

function words (part: Buffer): Uint32Array {
  if (part.length % 4 !== 0) throw new NoContribution('a part of it is not as long as its numbers')
  return new Uint32Array(part.buffer, part.byteOffset, part.length / 4)
}
