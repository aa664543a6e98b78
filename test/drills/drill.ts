import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from '../support/program.js'

/** A service that Prometheus scrapes, and whoever visits it. */
export interface Patient {
  /** Addresses as Prometheus has them: host and port. */
  readonly targets: readonly string[]
  /** One visit, or some. Nothing that fails is told. */
  visit (): unknown
}

/** A fault that is made for real, and what is to be seen of it. */
export interface Drill {
  /** Its namespace in Prometheus. */
  readonly name: string
  /** For a table. */
  readonly what: string
  readonly minutes: number
  /** Milliseconds between two visits. */
  readonly every: number
  /** What has to fire while it lasts. */
  readonly fires: readonly string[]
  /** What may fire beside that, while it lasts. */
  readonly mayFire?: RegExp
  start (t: Test): Promise<Patient>
  /** Makes the fault. @returns what ends it; undefined where it ends by itself */
  break (patient: Patient, fault: Fault): Promise<(() => unknown) | undefined> | (() => unknown) | undefined
}

/** A fault that lasts. */
export class Fault {
  readonly #end: number
  /** Whether visitors stay away. */
  quiet = false
  /** Takes the targets away from Prometheus. */
  readonly vanish: () => Promise<void>

  constructor (milliseconds: number, vanish: () => Promise<void>) {
    this.#end = Date.now() + milliseconds
    this.vanish = vanish
  }

  get over (): boolean {
    return Date.now() >= this.#end
  }

  /** Does something again and again until it is over. */
  async repeat (milliseconds: number, act: () => unknown): Promise<void> {
    while (!this.over) {
      await act()
      await sleep(milliseconds)
    }
  }
}

/** When a drill's fault began and ended, and when the drill was over, in milliseconds since 1970. */
export interface Course {
  readonly drill: Drill
  readonly began: number
  readonly ended: number
  readonly over: number
}

/** How long the patient is in good health before and after the fault, in milliseconds, and who is told. */
export interface Frame {
  readonly before: number
  readonly after: number
  readonly vanish: (drill: Drill) => Promise<void>
  readonly say: (what: string) => void
}

/** The patient in good health, then the fault, then good health again. */
export async function take (drill: Drill, patient: Patient, { before, after, vanish, say }: Frame): Promise<Course> {
  let fault: Fault | undefined
  const visits = setInterval(() => {
    if (fault?.quiet !== true) Promise.resolve(patient.visit()).catch(() => {})
  }, drill.every)
  await sleep(before)
  say(`${drill.name}: begins`)
  const began = Date.now()
  fault = new Fault(drill.minutes * 60_000, () => vanish(drill))
  const end = await drill.break(patient, fault)
  while (!fault.over) await sleep(500)
  await end?.()
  const ended = Date.now()
  fault = undefined
  say(`${drill.name}: is over`)
  await sleep(after)
  clearInterval(visits)
  return { drill, began, ended, over: Date.now() }
}
