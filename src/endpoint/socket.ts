import { createHash, randomBytes } from 'node:crypto'
import { link, lstat, rm } from 'node:fs/promises'
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
/** Milliseconds to wait for the process that replaces a socket. */
const CLAIMED = 20

/** Characters that stand after the path and a dot in the names beside it. */
const SUFFIX = 6

/** A name beside the path, that nobody else has. */
export function beside (path: string): string {
  return `${path}.${randomBytes(SUFFIX / 2).toString('hex')}`
}

/**
 * Gives a socket its path, unless a process listens there. A socket that a killed process has left is replaced.
 * @param draft the path on which the socket listens already
 * @returns whether it has the path now
 * @throws MetricsError FP_ERR_PORT_TAKEN for a file that is no socket, and any error of the file system
 */
export async function takePath (draft: string, path: string): Promise<boolean> {
  for (let i = 0; i < MOST_TRIES; i++) {
    const isTaken = await isLinked(draft, path)
    const there = isTaken ? undefined : await socketAt(path)
    if (there?.isAnswered === true) return false
    if (isTaken || (there !== undefined && await isReplaced(draft, path, path, there.id))) {
      await rm(draft)
      return true
    }
  }
  return false
}

/**
 * Puts a socket in the place of one that is not answered. Nothing in the file system does that in one step, and between
 * two steps another process may have replaced it. So a claim comes first: a name beside the path that is made of which
 * socket it is that must go. Only one process can have that name, and nobody else may remove that socket, ever. The
 * claim is a link to the claimant's own socket: where it is not answered, the claimant was killed, and the claim is what
 * must go.
 * @param place what must go is here: the path, or a claim to it
 * @param id which socket must go
 * @returns whether the draft has the path now
 */
async function isReplaced (draft: string, path: string, place: string, id: string): Promise<boolean> {
  const claim = `${path}.${id}`
  if (!await isLinked(draft, claim)) {
    const claimant = await socketAt(claim)
    if (claimant?.isAnswered === true) await sleep(CLAIMED)
    else if (claimant !== undefined) await isReplaced(draft, path, claim, claimant.id)
    return false
  }
  try {
    // It may have been replaced before there was this claim.
    if ((await socketAt(place))?.id !== id) return false
    await rm(place)
    return place === path && await isLinked(draft, path)
  } finally {
    await rm(claim)
  }
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

/** Which socket has a path, and whether a process listens on it. */
async function socketAt (path: string): Promise<{ readonly id: string, readonly isAnswered: boolean } | undefined> {
  try {
    const found = await lstat(path, { bigint: true })
    if (!found.isSocket()) throw new MetricsError('FP_ERR_PORT_TAKEN', `there is a file at ${path}, which is no socket; remove it, or give 'socket' another path`)
    // A new file may get the number of a removed one, but not at the same nanosecond. A link changes neither.
    const id = createHash('sha256').update(`${found.ino} ${found.mtimeNs}`).digest('hex').slice(0, SUFFIX)
    return { id, isAnswered: await isAnswered(path) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function isAnswered (path: string): Promise<boolean> {
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
