import { tracingChannel } from 'node:diagnostics_channel'
import type Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import { Registry } from 'prom-client'
import type { Definition } from '../../src/catalogue.js'
import type { MetricsPluginOptions } from '../../src/index.js'
import { Recorder } from './recorder.js'
import { playHttp1, playHttp2, playInject, watchConnections } from './scene-clients.js'
import { scenes, serveUpgrades } from './scenes.js'

/** Each way in which requests come, and what the application is then. */
export type Way = 'HTTP/1.1' | 'HTTP/1.1 with a logger' | 'HTTP/2' | 'inject' | 'inject with a tracer'
/** Each way in which the plugin is there. */
export type Setup = 'default' | 'all metrics' | 'last'

let loaded = false

/** The package is loaded here and not before: what it does to the process when it is loaded, a bare application of the same process would see too. */
async function install (app: FastifyInstance, setup: Setup): Promise<void> {
  loaded = true
  const { metricsPlugin } = await import('../../src/index.js')
  const { catalogue } = await import('../../src/catalogue.js')
  const optIn = Object.entries<Definition>(catalogue).filter(([, definition]) => definition.optIn === true).map(([name]) => [name, true])
  const options: MetricsPluginOptions = setup === 'all metrics' ? { endpoint: false, metrics: Object.fromEntries(optIn) } : {}
  await app.register(metricsPlugin, { registry: new Registry(), runtime: false, ...options })
}

/** Plays all scenes on a bare application, in a process that has not loaded the package yet, and closes it. */
export async function baseline (t: { teardown: (fn: () => unknown) => void }, make: typeof Fastify, way: Way): Promise<Performance> {
  if (loaded) throw new Error('the package is loaded already: play all baselines of a test file first')
  const bare = await perform(t, make, way)
  await bare.close()
  return bare
}

/** An application on the stage. */
export interface Performance {
  readonly app: FastifyInstance
  readonly recorder: Recorder
  /** Closes it, which is a scene too. */
  close (): Promise<void>
}

/** Builds an application, observed or bare, and plays all scenes on it; it stays open. */
export async function perform (t: { teardown: (fn: () => unknown) => void }, make: typeof Fastify, way: Way, setup?: Setup): Promise<Performance> {
  const recorder = new Recorder()
  const app = make({ forceCloseConnections: true, ...serverOf(way, recorder) }) as FastifyInstance
  t.teardown(() => app.close())
  const watched = async (run: () => Promise<void>) => {
    const stop = [recorder.watchProcess(), way === 'inject with a tracer' ? trace(recorder) : () => {}]
    try {
      await run()
    } finally {
      for (const each of stop) each()
    }
  }
  await watched(async () => {
    const started = await recorder.scene('start', async () => {
      if (setup !== undefined && setup !== 'last') await install(app, setup)
      scenes(app, recorder)
      if (way === 'HTTP/1.1 with a logger') serveUpgrades(app)
      if (setup === 'last') await install(app, setup)
      if (way.startsWith('inject')) await app.ready()
      else {
        watchConnections(app, recorder, way === 'HTTP/2' ? 'stream' : 'connection')
        await app.listen({ port: 0, host: '127.0.0.1' })
      }
      return 'started'
    })
    if (started !== 'started') throw new Error(`the application does not start: ${String(started)}`)
    await (way === 'HTTP/2' ? playHttp2 : way.startsWith('inject') ? playInject : playHttp1)(app, recorder)
  })
  const close = () => watched(async () => {
    await recorder.scene('close', async () => {
      await app.close()
      recorder.note('closed')
      return app.inject('/value')
    })
  })
  return { app, recorder, close }
}

/** What a tracer of the application's hears on Fastify's own handler channel. */
function trace (recorder: Recorder): () => void {
  const channels = tracingChannel<object>('fastify.request.handler')
  const told = (event: string) => (message: object) => {
    const { request, reply, error, result, ...rest } = message as { request: FastifyRequest, reply: FastifyReply, error?: unknown, result?: unknown }
    recorder.note('traced', event, request.url, reply.statusCode, reply.sent, error === undefined ? 'no error' : recorder.error(error), typeof result, rest, recorder.where())
  }
  const listeners = Object.fromEntries(['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((event) => [event, told(event)])) as unknown as Parameters<typeof channels.subscribe>[0]
  channels.subscribe(listeners)
  return () => { channels.unsubscribe(listeners) }
}

function serverOf (way: Way, recorder: Recorder): FastifyServerOptions {
  if (way === 'HTTP/2') return { http2: true } as FastifyServerOptions
  if (way !== 'HTTP/1.1 with a logger') return {}
  return {
    logger: {
      level: 'trace',
      stream: {
        write (line) {
          const { time, pid, hostname, responseTime, ...rest } = JSON.parse(line, (key, value: unknown) => key === 'remotePort' ? 0 : value) as { [key: string]: unknown }
          if (typeof rest.msg === 'string') rest.msg = rest.msg.replace(/(?<=127\.0\.0\.1:)\d+/, '0')
          const err = rest.err as { stack?: string } | undefined
          recorder.note('log', { ...rest, took: typeof responseTime, err: err && { ...err, stack: recorder.stack(err.stack) } }, recorder.where())
        }
      }
    }
  }
}
