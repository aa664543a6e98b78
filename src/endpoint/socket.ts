import { randomBytes } from 'node:crypto'
import { link, lstat, rename, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { MetricsError } from '../validation/errors.js'

/** In a path it stands for the first number that is free: each process of several takes one. */
export const NUMBER = '{n}'
/**
 * Bytes of the longest path of a Unix socket, on Linux and on macOS, without the name that it has before it is taken.
 */
export const LONGEST_SOCKET = 96
/** Others may be faster, one after the other. */
const MOST_TRIES = 20

/** A name beside the path, that nobody else has. */
export function beside (path: string): string {
  return `${path}.${randomBytes(3).toString('hex')}`
}

/**
 * Gives a socket its path, unless somebody listens there. What a process that was killed has left is replaced.
 * @param draft the path on which the socket listens already
 * @returns whether it has the path now
 * @throws MetricsError FP_ERR_PORT_TAKEN for a file that is no socket, and any error of the file system
 */
export async function takePath (draft: string, path: string): Promise<boolean> {
  for (let i = 0; i < MOST_TRIES; i++) {
    try {
      await link(draft, path)
      await rm(draft)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    if (await isAnswered(path)) return false
    // Of two that find it unanswered one may have taken it meanwhile. So it is moved, and asked once more, before it is
    // removed.
    const moved = beside(path)
    try {
      await rename(path, moved)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue
      throw error
    }
    const isStolen = await isAnswered(moved)
    if (isStolen) await link(moved, path).catch(() => {})
    await rm(moved)
    if (isStolen) return false
  }
  return false
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
