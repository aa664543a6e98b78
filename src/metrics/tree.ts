import type { LabelValue } from './labels.js'
import type { Series } from './series.js'

type Key = string | undefined
type Node = Map<Key, Node | Series>

/**
 * The series of a family by their label values, one map a label. No key is put together, and the hash of a value that is met
 * again is already known to its string: about a tenth of the time of a joined key.
 */
export class SeriesTree {
  readonly #depth: number
  readonly #root: Node = new Map()
  #size = 0

  /** @param labels how many labels a series has */
  constructor (labels: number) {
    this.#depth = Math.max(labels, 1)
  }

  get size (): number {
    return this.#size
  }

  /** The series of exactly these values; a value left out is undefined, and 200 and '200' are one. */
  get (values: ReadonlyArray<LabelValue | undefined>): Series | undefined {
    let node: Node = this.#root
    for (let i = 0; i < this.#depth - 1; i++) {
      const next = node.get(keyOf(values[i]))
      if (next === undefined) return undefined
      node = next as Node
    }
    return node.get(keyOf(values[this.#depth - 1])) as Series | undefined
  }

  /** Adds a series; there is none under its values yet. */
  add (series: Series): void {
    let node = this.#root
    for (let i = 0; i < this.#depth - 1; i++) {
      const key = keyOf(series.values[i])
      let next = node.get(key) as Node | undefined
      if (next === undefined) node.set(key, next = new Map())
      node = next
    }
    node.set(keyOf(series.values[this.#depth - 1]), series)
    this.#size++
  }

  /** Takes a series out, and the branches that it leaves empty. */
  delete (series: Series): void {
    const path = [this.#root]
    for (let i = 0; i < this.#depth - 1; i++) path.push((path[i] as Node).get(keyOf(series.values[i])) as Node)
    for (let i = this.#depth - 1; i >= 0; i--) {
      const node = path[i] as Node
      node.delete(keyOf(series.values[i]))
      if (node.size > 0) break
    }
    this.#size--
  }

  clear (): void {
    this.#root.clear()
    this.#size = 0
  }

  /** All series, those of one first label together. */
  * [Symbol.iterator] (): Generator<Series> {
    yield * below(this.#root, this.#depth)
  }
}

function * below (node: Node, depth: number): Generator<Series> {
  if (depth === 1) yield * node.values() as IterableIterator<Series>
  else for (const next of node.values()) yield * below(next as Node, depth - 1)
}

function keyOf (value: LabelValue | undefined): Key {
  return value === undefined || typeof value === 'string' ? value : `${value}`
}
