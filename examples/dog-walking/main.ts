import cluster from 'node:cluster'
import { parseArgs } from 'node:util'
import { StartError, reasonOf } from './errors.js'
import { addressOf, portToBe } from './listen.js'
import { startPostgres } from './postgres.js'
import { readSettings, type Settings } from './settings.js'
import { Shutdown } from './shutdown.js'

const USAGE = `Usage: main.js [option]

  (none)       the demo: migrates, seeds, listens and makes a little traffic until Ctrl-C
  --workers 4  the demo in so many processes: whichever is scraped, its page is of all
  --smoke      goes once through every page, shows the metrics that moved, exits 0, or 1 with the reason
  --migrate    migrates the database and exits; with --seed, also fills an empty one
  --serve      only serves, on a database that is migrated: for a container

DATABASE_URL  the PostgreSQL to use; without it the demo and --smoke start one of their own
PORT          default 3000 or the next free one
HOST          default 127.0.0.1
`

/** npm passes a Ctrl-C on to a process that has had it from the terminal already; that is no second one. */
const SAME_PRESS_MS = 500
const MOST_WORKERS = 64

const shutdown = new Shutdown()

let pressed: number | undefined
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (pressed === undefined) {
      process.stdout.write('\nstopping\n')
      stop(0)
    } else if (Date.now() - pressed > SAME_PRESS_MS) process.exit(130)
    pressed ??= Date.now()
  })
}

try {
  if (await main()) await stop(0)
} catch (error) {
  // What fails while everything is being stopped fails because of it.
  if (!shutdown.begun) {
    process.stderr.write(`dog-walking: ${error instanceof StartError ? error.message : reasonOf(error)}\n`)
    await stop(1)
  }
}

/** @returns whether that was all: false where it serves until a signal comes */
async function main (): Promise<boolean> {
  const mode = readArguments()
  if (mode.help) {
    process.stdout.write(USAGE)
    return true
  }
  let settings = readSettings(process.env)
  if (settings.databaseUrl === undefined && (mode.migrate || mode.serve)) throw new StartError('--migrate and --serve need DATABASE_URL')
  // A process of several shares its port.
  const listens = !mode.smoke && !mode.migrate && !cluster.isWorker
  if (listens) settings = await announce(settings, !mode.serve)

  const url = settings.databaseUrl ?? await startOwnPostgres()
  // Loading TypeORM takes most of a second; what is wrong so far was told before.
  const { migrateOnly, runDemo, runSmoke, runWorkers, serve } = await import('./run.js')
  if (mode.migrate) return migrateOnly(url, shutdown, mode.seed)
  if (mode.serve) return serve(url, settings, shutdown)
  if (mode.workers !== undefined) return runWorkers(mode.workers, url, settings, shutdown)
  return mode.smoke ? runSmoke(url, settings, shutdown) : runDemo(url, settings, shutdown)
}

/** Says early that a port cannot be had, and first where there will be something to look at. */
async function announce (settings: Settings, isDemo: boolean): Promise<Settings> {
  const port = await portToBe(settings)
  if (!isDemo) return settings
  process.stdout.write(`${addressOf({ address: settings.host, port })}/metrics/live is the live page, as soon as the service listens\n\n`)
  return settings.port === undefined ? { ...settings, firstPort: port } : { ...settings, port }
}

async function startOwnPostgres (): Promise<string> {
  process.stdout.write('starting a PostgreSQL for the demo\n')
  const { url, port, folder } = await startPostgres(shutdown)
  process.stdout.write(`PostgreSQL started on port ${port}, its files are in ${folder}\n`)
  return url
}

async function stop (code: number): Promise<void> {
  process.exitCode = code
  await shutdown.stop()
  process.exit()
}

function readArguments (): { smoke: boolean, migrate: boolean, seed: boolean, serve: boolean, help: boolean, workers: number | undefined } {
  const flag = { type: 'boolean', default: false } as const
  let mode
  try {
    mode = parseArgs({ options: { smoke: flag, migrate: flag, seed: flag, serve: flag, help: flag, workers: { type: 'string' } } }).values
  } catch (error) {
    throw new StartError(`${reasonOf(error)}; --help tells the options`)
  }
  if (Number(mode.smoke) + Number(mode.migrate) + Number(mode.serve) > 1 || (mode.seed && !mode.migrate)) {
    throw new StartError('--smoke, --migrate and --serve exclude each other, and --seed goes with --migrate; --help tells more')
  }
  const workers = mode.workers === undefined ? undefined : Number(mode.workers)
  if (workers !== undefined && (!Number.isInteger(workers) || workers < 1 || workers > MOST_WORKERS)) throw new StartError(`--workers must be a number from 1 to ${MOST_WORKERS}, got '${mode.workers}'`)
  if (workers !== undefined && (mode.smoke || mode.migrate || mode.serve)) throw new StartError('--workers goes with none of the others; --help tells more')
  return { ...mode, workers }
}
