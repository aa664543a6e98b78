import { catalogue, type OwnChoice } from '../catalogue.js'
import { askedBy, consistent, type CollectionObserver, type Look, type Together } from '../exposition/index.js'
import { LabelPair, type FamilySnapshot, type RegistryLike } from '../metrics/index.js'
import { Asking } from './asking.js'
import { Contributors } from './contributors.js'
import { gather, type Gathered } from './gathering.js'
import { defaultPlace } from './default-place.js'
import { MeetingPlace } from './meeting-place.js'
import { Member, type MemberObserver } from './member.js'
import type { Asked, MergeObserver } from './merge.js'
import { obstacleOf } from './obstacle.js'

/** The part of a scraper's timeout that the other processes have to answer. */
const ASKING_PART = 0.25

/** The settings of `processes`. */
export interface ProcessesSettings {
  /** The directory where they meet; undefined for that of the deployment. */
  readonly dir: string | undefined
  /** Milliseconds between two writes of what has changed. */
  readonly flushInterval: number
}

/** The memberships of this process, by registry and directory: a page and a port of its own are of one process. */
const memberships = new WeakMap<RegistryLike, Map<string | undefined, Processes>>()
/**
 * Applications of one program, each with a registry of its own, are apart: the first meets the first of other
 * processes.
 */
const applications = new Set<number>()
/** Those whose applications have closed, in a process that goes on. */
const retired = new Set<Processes>()

/** Callbacks of processes that answer as one. They must not throw. */
export interface ProcessesObserver extends CollectionObserver {
  /** The directory cannot be used, or what another process wrote cannot be read. */
  readonly obstacle: (error: unknown) => void
}

/** Several processes that answer as one. */
export class Processes implements Together {
  readonly #place: MeetingPlace
  readonly #flushInterval: number
  readonly #prefix: string
  readonly #on: OwnChoice
  readonly #observer: ProcessesObserver
  readonly #contributors: Contributors
  readonly #member: Member
  readonly #asking: Asking
  #begun: Promise<void> | undefined
  /** Lets another application have the number of this one. */
  #free = (): void => {}
  #users = 0
  #isOver = false
  /** Those whose place it takes. */
  readonly #before: Array<Promise<void>> = []
  /** The change of the ledger that the last page began. Nothing waits for it. */
  #folding: Promise<void> = Promise.resolve()
  /** By process, what was left out of the last page. */
  #refused: ReadonlyMap<string, ReadonlySet<string>> = new Map()

  /** @param flushInterval milliseconds between two writes of what has changed */
  constructor (registries: readonly RegistryLike[], place: MeetingPlace, flushInterval: number, prefix: string, on: OwnChoice, observer: ProcessesObserver) {
    this.#flushInterval = flushInterval
    this.#place = place
    this.#prefix = prefix
    this.#on = on
    this.#observer = observer
    this.#asking = new Asking(this.#place)
    this.#contributors = new Contributors(registries, Date.now(), observer)
    this.#member = new Member(this.#place, this.#contributors, this.#memberObserver)
  }

  /**
   * The membership of the registries' first, made if there is none: that has what this package counts. The others are on
   * its page from then on.
   */
  static of (registries: readonly RegistryLike[], settings: ProcessesSettings, prefix: string, on: OwnChoice, observer: ProcessesObserver): Processes {
    const registry = registries[0] as RegistryLike
    const { dir, flushInterval } = settings
    const known = memberships.get(registry) ?? new Map<string | undefined, Processes>()
    memberships.set(registry, known)
    const held = known.get(dir)
    if (held !== undefined && !held.#isOver) {
      held.#contributors.add(registries)
      if (retired.delete(held)) held.#member.resume()
      return held
    }
    let application = 0
    while (applications.has(application)) application++
    const place = dir === undefined ? defaultPlace(application) : new MeetingPlace(dir)
    const made = new Processes(registries, place, flushInterval, prefix, on, observer)
    if (dir === undefined) {
      applications.add(application)
      made.#free = () => {
        applications.delete(application)
        made.#free = () => {}
      }
    }
    known.set(dir, made)
    // It is the next of those that went before in this process.
    for (const each of retired) if (each.#place.path === place.path) made.#before.push(each.#end())
    return made
  }

  /** Begins to contribute. Never rejects: without the others this process answers for itself. */
  async begin (): Promise<void> {
    this.#begun ??= Promise.all(this.#before).then(async () => await this.#member.begin(this.#flushInterval))
    this.#users++
    await this.#begun
  }

  /** The last of those that began it ends it. */
  async end (): Promise<void> {
    if (this.#users === 0 || --this.#users > 0) return
    await this.#end()
  }

  /**
   * The last of those that began it has closed. What this process counts from now on is still on the pages of the
   * others, until it ends or another one takes this one's place.
   */
  async retire (): Promise<void> {
    if (this.#users === 0 || --this.#users > 0) return
    retired.add(this)
    this.#free()
    await this.#member.retire()
  }

  async #end (): Promise<void> {
    this.#isOver = true
    retired.delete(this)
    this.#free()
    await this.#folding
    await this.#member.end()
  }

  collect (names: ReadonlySet<string> | undefined, milliseconds: number): Promise<FamilySnapshot[]> | undefined {
    return this.#member.isIn ? this.#collect(this.#member, askedBy(names), milliseconds) : undefined
  }

  look (look: Look, milliseconds: number): Promise<FamilySnapshot[]> | undefined {
    return this.#member.isIn ? this.#look(this.#member, look, milliseconds) : undefined
  }

  /** Nobody is told of what is wrong with it: the next scrape finds the same. */
  async #look (member: Member, look: Look, milliseconds: number): Promise<FamilySnapshot[]> {
    const isAsked: Asked = ({ name }) => !look.skips(name)
    const observer: MergeObserver = { unreadable: () => {}, refused: (_id, metric) => look.failed(metric, undefined) }
    const gathered = await gather(this.#place, member, this.#asking, look.collects ? 'look' : 'glance', isAsked, milliseconds * ASKING_PART, new Map(), observer)
    return await consistent([...gathered.families.map((family) => family.snapshot()), ...this.#about(gathered, isAsked)], look.failed)
  }

  async #collect (member: Member, isAsked: Asked, milliseconds: number): Promise<FamilySnapshot[]> {
    try {
      const refused = new Map<string, Set<string>>()
      const observer: MergeObserver = {
        ...this.#memberObserver,
        refused: (id, metric) => {
          refused.set(id, (refused.get(id) ?? new Set()).add(metric))
          this.#memberObserver.refused(id, metric)
        }
      }
      const gathered = await gather(this.#place, member, this.#asking, 'contribute', isAsked, milliseconds * ASKING_PART, this.#refused, observer)
      this.#refused = refused
      if (gathered.ended.size > 0 || gathered.unnumbered.length > 0) this.#folding = member.fold(gathered.ended, gathered.unnumbered)
      return await consistent([...gathered.families.map((family) => family.snapshot()), ...this.#about(gathered, isAsked)], this.#observer.failed)
    } catch (error) {
      this.#observer.obstacle(obstacleOf(this.#place.path, error))
      throw error
    }
  }

  /** The metrics about the processes. */
  #about ({ states, oldest }: Gathered, isAsked: Asked): FamilySnapshot[] {
    const families: FamilySnapshot[] = []
    const add = (name: 'metrics_processes' | 'metrics_contribution_oldest_seconds', ...values: ReadonlyArray<readonly [labels: readonly LabelPair[], value: number]>) => {
      if (this.#on[name] === false || !isAsked({ name: this.#prefix + name })) return
      const series = values.map(([labels, value]) => ({ labels, created: undefined, value, exemplar: undefined, buckets: undefined, quantiles: undefined }))
      families.push({ name: this.#prefix + name, help: catalogue[name].help, type: 'gauge', size: series.length, bounds: [], series: () => series })
    }
    add('metrics_processes', ...Object.entries(states).map(([state, count]) => [[new LabelPair('state', state)], count] as const))
    add('metrics_contribution_oldest_seconds', [[], oldest])
    return families
  }

  get #memberObserver (): MemberObserver {
    const { failed, obstacle } = this.#observer
    return {
      failed: (error) => obstacle(obstacleOf(this.#place.path, error)),
      unreadable: obstacle,
      refused: (_id, metric) => failed(metric, new Error('an older process has it with another type, other labels or other buckets, which are left out')),
      leftOut: (metric) => failed(metric, new Error('a younger process has it with another type, other labels or other buckets: what this one has of it is left out'))
    }
  }
}
