import type { LabelValues, Tap } from './intake.js'
import { Level } from './level.js'

/** Which build of the service runs; null where that is not known. */
export interface Build {
  readonly version: string | null
  readonly commit: string | null
}

/** Builds that are known: more are not asked for, and processes of as many do not answer as one. */
const MOST_BUILDS = 20

/** What the processes that answer as one say of their build. */
export class Builds {
  readonly #builds = new Map<string, { readonly build: Build, readonly level: Level }>()

  get taps (): Readonly<Record<string, Tap>> {
    return { app_build_info: (labels) => this.#of(labels) }
  }

  /** The one that all were in a sample; undefined where nobody said it, and where there were several. */
  of (sample: number): Build | undefined {
    const [only, ...others] = [...this.#builds.values()].filter(({ level }) => level.seen === sample)
    return others.length === 0 ? only?.build : undefined
  }

  #of ({ version = '', commit = '' }: LabelValues): Level[] {
    const key = JSON.stringify([version, commit])
    const known = this.#builds.get(key)
    if (known !== undefined) return [known.level]
    if (this.#builds.size >= MOST_BUILDS) this.#builds.delete(this.#builds.keys().next().value ?? '')
    const level = new Level('max')
    this.#builds.set(key, { build: { version: version === '' ? null : version, commit: commit === '' ? null : commit }, level })
    return [level]
  }
}
