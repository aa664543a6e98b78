/** An item that has begun and not ended, with its place in the list of such items. */
export interface Open<T extends Open<T>> {
  /** The list that the item is in, and its neighbours there. */
  list: OpenList<T> | undefined
  older: T | undefined
  newer: T | undefined
}

/**
 * Items that have begun and not ended, oldest first. Adding and removing take a few writes, because each request and
 * each query does both.
 */
export class OpenList<T extends Open<T>> {
  size = 0
  oldest: T | undefined = undefined
  #newest: T | undefined = undefined

  add (item: T): void {
    item.list = this
    item.older = this.#newest
    if (this.#newest === undefined) this.oldest = item
    else this.#newest.newer = item
    this.#newest = item
    this.size++
  }

  delete (item: T): void {
    const { older, newer } = item
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
    item.list = item.older = item.newer = undefined
    this.size--
  }

  /** All items as they are now; they may leave the list during the iteration. */
  [Symbol.iterator] (): Iterator<T> {
    const all: T[] = []
    for (let item = this.oldest; item !== undefined; item = item.newer) all.push(item)
    return all[Symbol.iterator]()
  }
}
