import { StartError } from './errors.js'

/** What the environment says. */
export interface Settings {
  /** HOST. Default: 127.0.0.1. */
  readonly host: string
  /** PORT, 0 for any free one; undefined to take the first one that is free. */
  readonly port: number | undefined
  /** Where the search for a free one begins. */
  readonly firstPort: number
  /** DATABASE_URL; undefined for a PostgreSQL of the demo's own. */
  readonly databaseUrl: string | undefined
}

const FIRST_PORT = 3000

/** @throws StartError for a value of no use */
export function readSettings ({ HOST, PORT, DATABASE_URL }: NodeJS.ProcessEnv): Settings {
  return { host: HOST || '127.0.0.1', port: PORT ? readPort(PORT) : undefined, firstPort: FIRST_PORT, databaseUrl: DATABASE_URL ? readDatabaseUrl(DATABASE_URL) : undefined }
}

function readPort (text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65535) throw new StartError(`PORT must be a number from 0 to 65535, got '${text}'`)
  return port
}

function readDatabaseUrl (text: string): string {
  if (!URL.canParse(text) || !['postgres:', 'postgresql:'].includes(new URL(text).protocol)) {
    throw new StartError(`DATABASE_URL must be like postgres://user:password@host:5432/database, got '${withoutPassword(text)}'`)
  }
  return text
}

/** A URL of a database as it may be shown, well-formed or not. */
export function withoutPassword (url: string): string {
  return url.replace(/:[^:/@][^:@]*@/, ':***@')
}
