import { reasonOf } from './errors.js'

/** What to undo, the latest first. */
export class Shutdown {
  readonly #steps: Array<() => unknown> = []
  #stopped: Promise<void> | undefined

  /** Whether it has begun; what fails from then on fails because of it. */
  get begun (): boolean {
    return this.#stopped !== undefined
  }

  add (step: () => unknown): void {
    this.#steps.push(step)
  }

  /** Undoes everything, once. A step that fails is told and does not keep the others. */
  stop (): Promise<void> {
    this.#stopped ??= this.#undo()
    return this.#stopped
  }

  async #undo (): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step()
      } catch (error) {
        process.stderr.write(`dog-walking: while stopping: ${reasonOf(error)}\n`)
      }
    }
  }
}
