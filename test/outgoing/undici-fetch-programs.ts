import { Agent, fetch as undiciFetch, type RequestInit } from 'undici'
import type { HostileService } from '../support/hostile-service.js'
import { programsWith, type Fetch } from './fetch-programs.js'
import type { Note, Program } from './sight.js'

/** What an application does with the fetch of undici's package, and its dispatchers. */
export function programsOf (service: HostileService): Record<string, Program> {
  return { ...programsWith(service, undiciFetch as unknown as Fetch), ...programsWithDispatcher(service) }
}

function programsWithDispatcher ({ origin }: HostileService): Record<string, Program> {
  const using = (options: Agent.Options, run: (agent: Agent, note: Note) => Promise<unknown>): Program => async (note) => {
    const agent = new Agent(options)
    try {
      return await run(agent, note)
    } finally {
      await agent.destroy()
    }
  }
  const get = (path: string, dispatcher: Agent, options: RequestInit = {}) => undiciFetch(origin + path, { dispatcher, ...options })
  return {
    'aborted in the queue': using({ connections: 1, pipelining: 1 }, async (agent, note) => {
      const [first, second] = [new AbortController(), new AbortController()]
      const answers = [get('/silent', agent, { signal: first.signal }), get('/text', agent, { signal: second.signal })]
      second.abort(new Error('no more'))
      note(await Promise.allSettled(answers.slice(1)))
      first.abort()
      note(await Promise.allSettled(answers))
      note(await (await get('/text', agent)).text())
    }),
    'aborted during the connection': using({ connect: () => {} }, async (agent, note) => {
      const controller = new AbortController()
      const answer = get('/text', agent, { signal: controller.signal })
      await new Promise((resolve) => setImmediate(resolve))
      controller.abort()
      note(await Promise.allSettled([answer]))
    }),
    'no head in time': using({ headersTimeout: 1 }, async (agent) => get('/silent', agent)),
    'no body in time': using({ bodyTimeout: 1 }, async (agent) => (await get('/half', agent)).text()),
    'a connector that fails': using({ connect: (_options, done) => { done(new Error('no connection'), null) } }, async (agent) => get('/text', agent)),
    'an agent that is destroyed': using({}, async (agent, note) => {
      const answer = get('/silent', agent)
      const settled = Promise.allSettled([answer])
      await agent.destroy(new Error('destroyed'))
      note(await settled)
    })
  }
}
