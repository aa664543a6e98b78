import { inTime, type MeetingPlace, type State } from './meeting-place.js'

/** Milliseconds that are enough for who owes an answer, and has come back to life meanwhile. */
const BRIEF = 20

/**
 * Asks the others. Who owes an answer is not waited for again until it has given it: so it costs one scrape its time.
 */
export class Asking {
  readonly #place: MeetingPlace
  readonly #owed = new Map<string, Promise<State>>()

  constructor (place: MeetingPlace) {
    this.#place = place
  }

  /** @param names of its contributions @param milliseconds that it has */
  async ask (id: string, names: readonly string[], request: string, milliseconds: number): Promise<State> {
    const owed = this.#owed.get(id)
    if (owed !== undefined && await inTime(owed.then(() => 'live'), BRIEF) === 'silent') return 'silent'
    const { answer, unref } = this.#place.question(id, names, request)
    let isIn = false
    const given = answer.finally(() => {
      isIn = true
      if (this.#owed.get(id) === given) this.#owed.delete(id)
    })
    const state = await inTime(given, milliseconds)
    if (isIn) return state
    unref()
    this.#owed.set(id, given)
    return 'silent'
  }
}
