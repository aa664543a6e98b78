import { randomBytes } from 'node:crypto'
import { link, lstat, mkdir, rm, rmdir, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { MetricsError } from '../validation/errors.js'

/** In a path it stands for the first number that is free: each process of several takes one. */
export const NUMBER = '{n}'
/**
 * Bytes of the longest path of a Unix socket, on Linux and on macOS, without the name that it has before it is taken.
 */
export const LONGEST_SOCKET = 96
/** Others may be faster, one after the other. */
const MOST_TRIES = 20
/** Milliseconds to wait for who replaces a socket, and after which that process must have been killed. */
const LOCKED = 20
const ABANDONED = 300

/** A name beside the path, that nobody else has. */
export function beside (path: string): string {
  return `${path}.${randomBytes(3).toString('hex')}`
}

/**
 * Gives a socket its path, unless somebody listens there. What a process that was killed has left is replaced, by one
 * at a time: while the path is taken, only who has the lock beside it may free it.
 * @param draft the path on which the socket listens already
 * @returns whether it has the path now
 * @throws MetricsError FP_ERR_PORT_TAKEN for a file that is no socket, and any error of the file system
 */
export async function takePath (draft: string, path: string): Promise<boolean> {
  for (let i = 0; i < MOST_TRIES; i++) {
    if (await isLinked(draft, path)) {
      await rm(draft)
      return true
    }
    if (await isAnswered(path)) return false
    await whileLocked(`${path}.lock`, async () => {
      // It may have been replaced before the lock was had.
      if (!await isAnswered(path)) await rm(path, { force: true })
    })
  }
  return false
}

async function isLinked (draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  }
}

/** Does something alone, or waits a little for who does it. */
async function whileLocked (lock: string, work: () => Promise<void>): Promise<void> {
  try {
    await mkdir(lock)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    await sleep(LOCKED)
    await removeAbandoned(lock)
    return
  }
  try {
    await work()
  } finally {
    await rmdir(lock)
  }
}

/** A process that was killed while it had the lock has left it. */
async function removeAbandoned (lock: string): Promise<void> {
  const held = await stat(lock).catch(() => undefined)
  if (held !== undefined && Date.now() - held.mtimeMs > ABANDONED) await rmdir(lock).catch(() => {})
}

async function isAnswered (path: string): Promise<boolean> {
  try {
    if (!(await lstat(path)).isSocket()) throw new MetricsError('FP_ERR_PORT_TAKEN', `there is a file at ${path}, which is no socket; remove it, or give 'socket' another path`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  return await new Promise((resolve) => {
    const socket = connect(path)
    const end = (is: boolean) => {
      socket.destroy()
      resolve(is)
    }
    socket.on('connect', () => end(true))
    socket.on('error', ({ code }: NodeJS.ErrnoException) => end(code !== 'ECONNREFUSED' && code !== 'ENOENT'))
  })
}
