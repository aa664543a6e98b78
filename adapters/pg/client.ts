import { overlayMethod } from '../../src/adapter.js'
import type { Connections } from './connections.js'
import { isThenable, type Client, type ClientClass, type Method } from './driver.js'
import { observeQuery } from './query.js'
import type { Recorder } from './recorder.js'

const NAMES = ['query', 'connect', 'end'] as const

/**
 * Records the queries, connects and ends of clients of any class. A layer of ours stands between a client and its
 * prototype, so a patch that another instrumentation puts on the prototype later still runs. A method that is the
 * client's own property, as an arrow function is, gets our method over it.
 */
export class Clients {
  readonly #recorder: Recorder
  readonly #connections: Connections
  /** The layer over each prototype. */
  readonly #layers = new WeakMap<object, object>()
  readonly #isLayer = new WeakSet<object>()
  /** Our methods that stand over clients' own methods. */
  readonly #ours = new WeakSet<object>()
  /** The functions that take our methods from over clients' own methods. */
  readonly #restores = new WeakMap<Client, Array<() => void>>()

  constructor (recorder: Recorder, connections: Connections) {
    this.#recorder = recorder
    this.#connections = connections
  }

  /**
   * Gives a class that extends `Class`, and whose prototype is our layer, to be the `new.target` of clients. Clients
   * that get the layer later, by Object.setPrototypeOf, each have a hidden class of their own in V8 before Node 24:
   * every property that pg or its pool adds afterwards sees to that, and then no code of pg is fast.
   * @returns `Class` itself when it might tell the difference, or is no class
   */
  layered (Class: ClientClass): ClientClass {
    if (!isPlainClass(Class)) return Class
    const Layered = class extends Class {}
    Reflect.deleteProperty(Layered.prototype, 'constructor')
    this.#layerOn(Class.prototype, Layered.prototype)
    return Layered
  }

  /** Observes a client that was just made. Never throws. */
  observeNew (client: Client): void {
    try {
      if (this.#recorder.active) this.#overlay(client)
      else this.#restore(client)
    } catch (error) {
      this.#recorder.report(error)
    }
  }

  /** Observes a client that is connected already and was not seen before. */
  observeConnected (client: Client): void {
    this.#overlay(client)
    this.#connections.opened(client, () => { this.#restore(client) })
    this.#recorder.connectionOpened()
  }

  #overlay (client: Client): void {
    const restores = this.#restores.get(client) ?? []
    this.#restores.set(client, restores)
    const base = Object.getPrototypeOf(client) as Client
    if (!this.#isLayer.has(base) && NAMES.some((name) => typeof base[name] === 'function')) Object.setPrototypeOf(client, this.#layerOn(base))
    for (const name of NAMES) if (Object.hasOwn(client, name) && !this.#ours.has(client[name])) restores.push(this.#overlayOwn(client, name))
  }

  #restore (client: Client): void {
    const layer = Object.getPrototypeOf(client) as object
    if (this.#isLayer.has(layer)) Object.setPrototypeOf(client, Object.getPrototypeOf(layer) as object)
    for (const restore of this.#restores.get(client) ?? []) restore()
    this.#restores.delete(client)
  }

  #layerOn (base: Client, layer = Object.create(base) as Client): object {
    const known = this.#layers.get(base)
    if (known !== undefined) return known
    const recorder = this.#recorder
    // Every query takes this path, so it is written out and not in the loop below.
    overlayMethod(layer, 'query', (under) => function (...args) {
      return recorder.active && recorder.within !== this ? observeQuery(recorder, this as Client, under.query, args) : Reflect.apply(under.query, this, args)
    })
    for (const name of ['connect', 'end'] as const) {
      const observe = this.#observerOf(name)
      overlayMethod(layer, name, (under) => function (...args) {
        return recorder.active && recorder.within !== this ? observe(this as Client, under[name], args) : Reflect.apply(under[name], this, args)
      })
    }
    this.#layers.set(base, layer)
    this.#isLayer.add(layer)
    return layer
  }

  /** A client's own method may call the method of its class; that inner call must not count. */
  #overlayOwn (client: Client, name: typeof NAMES[number]): () => void {
    const recorder = this.#recorder
    const ours = this.#ours
    const observe = this.#observerOf(name)
    const mayAsk = this.#isLayer.has(Object.getPrototypeOf(client) as object)
    return overlayMethod(client, name, (under) => {
      const method: Method = function (this: unknown, ...args) {
        if (!recorder.active || recorder.within === this) return Reflect.apply(under[name], this, args)
        if (!mayAsk) return observe(this as Client, under[name], args)
        const { within } = recorder
        recorder.within = this
        try {
          return observe(this as Client, under[name], args)
        } finally {
          recorder.within = within
        }
      }
      ours.add(method)
      return method
    })
  }

  /** Gives the function that runs in place of a client's method, with that method as an argument. */
  #observerOf (name: typeof NAMES[number]): (client: Client, method: Method, args: unknown[]) => unknown {
    if (name === 'query') return (client, query, args) => observeQuery(this.#recorder, client, query, args)
    if (name === 'connect') return (client, connect, args) => this.#observeConnect(client, connect, args)
    return (client, end, args) => {
      this.#connections.closed(client)
      return Reflect.apply(end, client, args)
    }
  }

  /** A pool calls connect with a callback (pg-pool/index.js, newClient). */
  #observeConnect (client: Client, connect: Method, args: unknown[]): unknown {
    // pg refuses to connect a client a second time.
    if (this.#connections.has(client)) return Reflect.apply(connect, client, args)
    const start = this.#recorder.now()
    const callback = args[0]
    if (typeof callback === 'function') {
      const ended = (error: unknown) => { this.#connected(client, start, error) }
      args[0] = function (this: unknown, ...results: unknown[]) {
        ended(results[0])
        return Reflect.apply(callback, this, results)
      }
      return Reflect.apply(connect, client, args)
    }
    const connecting = Reflect.apply(connect, client, args)
    return !isThenable(connecting)
      ? connecting
      : connecting.then((value) => {
        this.#connected(client, start, undefined)
        return value
      }, (error: unknown) => {
        this.#connected(client, start, error ?? new Error('it was given no reason'))
        throw error
      })
  }

  /** Never throws. */
  #connected (client: Client, start: number, error: unknown): void {
    const recorder = this.#recorder
    try {
      if (error) return recorder.connectionFailed(error)
      if (!recorder.active) return this.#restore(client)
      // Only now are there the fields of a subclass: its constructor sets them after the witness has seen the client.
      this.#overlay(client)
      this.#connections.opened(client, () => { this.#restore(client) })
      recorder.connectionOpened(start)
    } catch (error) {
      recorder.report(error)
    }
  }
}

/** Whether a class, and each class that it extends, shows its code, and does not ask for its `new.target` there. */
function isPlainClass (Class: unknown): boolean {
  for (let each = Class; each !== Function.prototype; each = Object.getPrototypeOf(each)) {
    if (typeof each !== 'function' || !(each.prototype instanceof Object)) return false
    const code = Function.prototype.toString.call(each)
    if (code.includes('new.target') || code.includes('[native code]')) return false
  }
  return true
}
