import { once } from 'node:events'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Test } from '../support/program.js'
import { startService, type Service } from '../support/service.js'
import type { Drill, Patient } from './drill.js'
import { PartnerService, ROUTES, type Mood } from './partner-service.js'

/** The dog-walking service on a PostgreSQL of its own, on one port for all its lives. */
class Dogs implements Patient {
  #visits = 0
  constructor (readonly service: Service, readonly targets: readonly string[]) {}

  static async start (t: Test): Promise<Dogs> {
    const service = await startService(t)
    return new Dogs(service, [service.url.slice('http://'.length)])
  }

  /** Ends the process, and starts another one on its port. */
  async replace (signal: NodeJS.Signals): Promise<void> {
    await this.service.stop(signal)
    await this.service.start(Number(this.targets[0]?.split(':')[1]))
  }

  /** Mostly pages; one walk in eight visits. */
  async visit (): Promise<void> {
    const { service } = this
    const paths = ['/', '/walks/start', '/walks/complete', '/status']
    if (this.#visits++ % 8 === 0) await service.walk(300)
    else await service.visitor.open(paths[this.#visits % paths.length] ?? '/')
  }
}

/** What database trouble may bring along. */
const DATABASE = /^(Http(Route)?(Errors|Latency)(Fast|Slow)Burn|HttpRequestsHanging|HttpTrafficStopped|Database\w+)$/
const ERRORS = /^Http(Route)?Errors(Fast|Slow)Burn$/
const LATENCY = /^Http(Route)?Latency(Fast|Slow)Burn$/
const EVERY = 250

const partner = (t: Test) => PartnerService.start(t)

/** @param share of the requests */
const partnerThat = (mood: Mood, share = 1): Drill['break'] => (patient) => {
  const service = patient as PartnerService
  service.mood = mood
  service.share = share
  return () => service.release()
}

const stopDatabase: Drill['break'] = async (patient) => {
  const { postgres } = (patient as Dogs).service
  await postgres.stop()
  return () => postgres.start()
}

export const drills: readonly Drill[] = [
  {
    name: 'ordinary', what: 'nothing is wrong', minutes: 10, every: EVERY, fires: [], start: Dogs.start, break: () => undefined
  },
  {
    name: 'locked-table',
    what: 'somebody locks the table of walks',
    minutes: 10,
    every: EVERY,
    fires: ['DatabaseQueriesHanging'],
    mayFire: DATABASE,
    start: Dogs.start,
    async break (patient) {
      const client = new pg.Client((patient as Dogs).service.postgres.config)
      await client.connect()
      await client.query('BEGIN')
      await client.query('LOCK TABLE walk IN ACCESS EXCLUSIVE MODE')
      return () => client.end()
    }
  },
  {
    name: 'database-down',
    what: 'the database is down',
    minutes: 10,
    every: EVERY,
    fires: ['DatabaseDown', 'HttpErrorsFastBurn'],
    mayFire: DATABASE,
    start: Dogs.start,
    break: stopDatabase
  },
  {
    name: 'database-restart',
    what: 'the database restarts; half a minute',
    minutes: 0.5,
    every: EVERY,
    fires: [],
    mayFire: ERRORS,
    start: Dogs.start,
    break: stopDatabase
  },
  {
    name: 'crash-loop',
    what: 'kill -9 every half minute',
    minutes: 10,
    every: EVERY,
    fires: ['ServiceCrashLooping'],
    mayFire: /^(ProcessCrashLooping|ServiceDown|TargetDown|Http.*Burn)$/,
    start: Dogs.start,
    async break (patient, fault) {
      await fault.repeat(30_000, () => (patient as Dogs).replace('SIGKILL'))
      return undefined
    }
  },
  {
    name: 'deployment',
    what: 'the process is replaced once',
    minutes: 1,
    every: EVERY,
    fires: [],
    start: Dogs.start,
    async break (patient) {
      await (patient as Dogs).replace('SIGTERM')
      return undefined
    }
  },
  {
    name: 'wrong-forms',
    what: 'every form is refused',
    minutes: 10,
    every: 2000,
    fires: ['InvalidWalks'],
    start: Dogs.start,
    async break (patient, fault) {
      const { service } = patient as Dogs
      fault.quiet = true
      await fault.repeat(2000, () => service.visitor.send('/walks/start', {}))
      return undefined
    }
  },
  {
    name: 'partner-hangs',
    what: 'a partner never answers: requests hang',
    minutes: 10,
    every: 500,
    fires: ['HttpRequestsHanging'],
    mayFire: /^Http/,
    start: partner,
    break: partnerThat('hangs')
  },
  {
    name: 'partner-fails',
    what: 'a partner fails: all is 502; 12 minutes',
    minutes: 12,
    every: EVERY,
    fires: ['HttpErrorsFastBurn', 'HttpErrorsSlowBurn'],
    mayFire: ERRORS,
    start: partner,
    break: partnerThat('fails')
  },
  {
    name: 'partner-fails-some',
    what: 'a partner fails for one of ten requests; 12 minutes',
    minutes: 12,
    every: EVERY,
    fires: ['HttpErrorsFastBurn'],
    mayFire: ERRORS,
    start: partner,
    break: partnerThat('fails', 0.1)
  },
  {
    name: 'partner-slow',
    what: 'a partner takes 0.9 s',
    minutes: 12,
    every: EVERY,
    fires: ['HttpLatencyFastBurn'],
    mayFire: LATENCY,
    start: partner,
    break: partnerThat('slow')
  },
  {
    name: 'thin-outage',
    what: 'forty routes, each asked once in a quarter of an hour, all 502; 24 minutes',
    minutes: 24,
    every: 900_000 / ROUTES,
    fires: ['HttpErrorsFastBurn'],
    mayFire: ERRORS,
    start: partner,
    break: partnerThat('fails')
  },
  {
    name: 'no-traffic',
    what: 'traffic stops',
    minutes: 10,
    every: EVERY,
    fires: ['HttpTrafficStopped'],
    start: partner,
    break (_patient, fault) {
      fault.quiet = true
      return undefined
    }
  },
  {
    name: 'one-of-four',
    what: 'one process of four is gone',
    minutes: 10,
    every: EVERY,
    fires: ['TargetDown'],
    mayFire: /^TargetDown$/,
    start: (t) => PartnerService.start(t, 4),
    async break (patient) {
      await (patient as PartnerService).stopOne()
      return undefined
    }
  },
  {
    name: 'vanished',
    what: 'the environment has no target any more',
    minutes: 10,
    every: EVERY,
    fires: ['TargetMissing'],
    start: partner,
    async break (_patient, fault) {
      await fault.vanish()
      return undefined
    }
  },
  {
    name: 'conflicts',
    what: 'what is inserted is there already',
    minutes: 10,
    every: EVERY,
    fires: [],
    start: async (t) => PartnerService.start(t, 1, (await Dogs.start(t)).service.postgres.config),
    async break (patient, fault) {
      const { targets } = patient
      await fault.repeat(200, () => fetch(`http://${targets[0]}/names`, { method: 'POST' }).then((response) => response.arrayBuffer()))
      return undefined
    }
  },
  {
    name: 'streams',
    what: 'fifty streams of events stay open, and are left',
    minutes: 10,
    every: EVERY,
    fires: [],
    start: partner,
    async break (patient) {
      const streams = await Promise.all(Array.from({ length: 50 }, async () => {
        const asked = request(`http://${patient.targets[0]}/events`).end()
        const [response] = await once(asked, 'response')
        response.resume()
        return asked.on('error', () => {})
      }))
      return async () => {
        for (const stream of streams) stream.destroy()
        await sleep(1000)
      }
    }
  }
]
