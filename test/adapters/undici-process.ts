import { writeFileSync } from 'node:fs'
import { HostileService } from '../support/hostile-service.js'
import { context, sight, type Program } from '../outgoing/sight.js'

/**
 * A process of its own for undici-invisible.test.ts. It runs the programs of one kind, bare or observed, and tells what
 * each saw. It ends by itself, as a service does that has closed all.
 */
const [kind = '', how = '', file = ''] = process.argv.slice(2)
interface Observation {
  counted?: unknown
  end (): Promise<void>
}

/** Turns of the event loop after which a program begins that does not wait for what the one before has left behind. */
const TURNS = 20
/** No program takes this long on any machine: what it waits for does not come. */
const STUCK_MS = 60_000

const seen: Record<string, string[]> = {}
const left: Record<string, unknown> = { unhandled: [], uncaught: [], warnings: [] }
const keep = (list: string) => (reason: unknown) => { (left[list] as string[]).push(`${context.getStore()}: ${sight(reason)}`) }
process.on('unhandledRejection', keep('unhandled')).on('uncaughtException', keep('uncaught')).on('warning', keep('warnings'))
Error.stackTraceLimit = 60

const ends: Array<() => unknown> = []
const service = await HostileService.start({ teardown: (end) => { ends.push(end) } })
const { programsOf } = await import(`../outgoing/${kind}-programs.ts`) as { programsOf (service: HostileService): Record<string, Program> }

const observation = how === 'bare' ? undefined : await observe()
for (const [name, program] of Object.entries(programsOf(service))) {
  const notes: string[] = seen[name] = []
  const note = (...values: unknown[]) => { notes.push(values.map((value) => sight(value)).join(' ')) }
  if (process.env.SHOW !== undefined) console.error(name)
  const stuck = setTimeout(() => {
    console.error(`'${name}' does not end: ${notes.join(' | ')}`)
    process.exit(1)
  }, STUCK_MS)
  await context.run(name, async () => {
    try {
      note('gave', await program(note))
    } catch (error) {
      note('threw', error)
    }
  })
  clearTimeout(stuck)
  for (let i = 0; i < TURNS; i++) await new Promise((resolve) => setImmediate(resolve))
}
for (const end of ends) await end()
process.once('exit', () => {
  // The order of what nobody handles goes by the network.
  for (const list of Object.values(left)) if (Array.isArray(list)) list.sort()
  writeFileSync(file, JSON.stringify({ seen, left, counted: observation?.counted }))
})
await observation?.end()

/** Observes this process, and undoes that before the first program where `how` says so. */
async function observe (): Promise<Observation> {
  const { observedOutgoing } = await import('../support/outgoing.js')
  const outgoing = observedOutgoing({ teardown: () => {} })
  if (how === 'undone') outgoing.undo()
  const observation: Observation = {
    async end () {
      observation.counted = { kinds: await outgoing.settled(), trouble: (await outgoing.page()).sum('metrics_instrumentation_errors_total') }
    }
  }
  return observation
}
