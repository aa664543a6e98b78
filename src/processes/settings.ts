import { isAbsolute } from 'node:path'
import { invalidOption } from '../validation/errors.js'
import { isRecord, readGiven, refuseUnknown } from '../validation/given.js'
import type { ProcessesSettings } from './processes.js'

/** The settings of several processes that answer as one. */
export interface ProcessesOptions {
  /**
   * The directory where the processes meet, on a local disk or in memory; it is made if it is not there. All processes
   * that share it answer as one, so give each service its own. Default: one in the system's directory for temporary
   * files, for all processes that the same process forked.
   */
  dir?: string | undefined
  /**
   * Milliseconds between two writes of what has changed, from 10 on: what a process counted within the last of these is
   * lost if it is killed with SIGKILL. Default: 1000.
   */
  flushInterval?: number | undefined
}

/** Switches it on without a release: '1' or 'true', or the directory. */
export const PROCESSES_VARIABLE = 'FASTIFY_PROMETHEUS_PROCESSES'

const DEFAULT_INTERVAL = 1000
const SHORTEST_INTERVAL = 10

/**
 * Reads the option, or else the environment variable.
 * @param otherwise what it is where neither says anything
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readProcesses (owner: string, option: unknown, otherwise = false): ProcessesSettings | undefined {
  const given = option ?? variable() ?? otherwise
  if (given === false) return undefined
  if (given === true) return { dir: undefined, flushInterval: DEFAULT_INTERVAL }
  if (!isRecord(given)) throw invalidOption(owner, 'processes', 'true, false, or an object with a dir', given)
  const { values: { dir, flushInterval = DEFAULT_INTERVAL }, unknown } = readGiven(owner, 'processes.', given, ['dir', 'flushInterval'])
  refuseUnknown(owner, 'processes.', given, unknown, 'dir or flushInterval', new Map())
  if (dir !== undefined && (typeof dir !== 'string' || !isAbsolute(dir) || dir.includes('\0'))) throw invalidOption(owner, 'processes.dir', 'an absolute path', dir)
  if (typeof flushInterval !== 'number' || !(flushInterval >= SHORTEST_INTERVAL && flushInterval < 2 ** 31)) {
    throw invalidOption(owner, 'processes.flushInterval', `milliseconds from ${SHORTEST_INTERVAL} on`, flushInterval)
  }
  return { dir, flushInterval }
}

function variable (): boolean | { dir: string } | undefined {
  const value = process.env[PROCESSES_VARIABLE]
  if (value === undefined || value === '') return undefined
  if (value === '0' || value === 'false') return false
  return value === '1' || value === 'true' ? true : { dir: value }
}
