import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads'
import { MeetingPlace } from './meeting-place.js'

/*
 * Where the processes of one deployment meet, if nobody says where: a directory of the user, for the process that
 * started them. All workers of node:cluster and of PM2, and all that a process forks, have the same parent; a process
 * that nobody forked is the parent of those that it forks. PM2 is the parent of several services, and tells each its
 * name.
 */

/** Milliseconds for which the numbers of a deployment stay after its last process has written. */
const KEPT = 24 * 60 * 60 * 1000

/** Tells threads whether their process was forked: only its main thread has the channel to its parent. */
const FORKED = 'fastify-prometheus.forked'
if (isMainThread) setEnvironmentData(FORKED, process.send !== undefined)

/** The directory of all deployments of this user. */
function userPlace (): string {
  return join(tmpdir(), `fp-metrics-${process.getuid?.() ?? userInfo().username}`)
}

/** The directory of this process' deployment. @param application which one of the program's, from 0 on */
export function defaultPlace (application: number): DefaultPlace {
  const { pm_id: pm2, name } = process.env
  const isForked = isMainThread ? process.send !== undefined : getEnvironmentData(FORKED) === true || pm2 !== undefined
  const deployment = isForked ? process.ppid : process.pid
  const service = pm2 === undefined || !isForked ? '' : name ?? ''
  const key = createHash('sha256').update(JSON.stringify([deployment, startOf(deployment), service, application])).digest('base64url').slice(0, 12)
  return new DefaultPlace(join(userPlace(), key))
}

/** A directory that nobody gave. */
export class DefaultPlace extends MeetingPlace {
  /** Removes what earlier deployments have left, too. */
  override async open (): Promise<void> {
    // Whoever owns the directory above could put another one in the place of this.
    await new MeetingPlace(userPlace()).open()
    await super.open()
    await this.#tidy()
  }

  async #tidy (): Promise<void> {
    const now = Date.now()
    for (const name of await readdir(userPlace())) {
      const path = join(userPlace(), name)
      if (path === this.path) continue
      try {
        const files = await readdir(path)
        const times = await Promise.all([path, ...files.map((file) => join(path, file))].map(async (each) => (await stat(each)).mtimeMs))
        if (now - Math.max(...times) < KEPT) continue
        const place = new MeetingPlace(path)
        const { members } = await place.list()
        const states = await Promise.all([...members].map(([id, names]) => place.stateOf(id, names, 1000)))
        if (states.every((state) => state === 'ended')) await rm(path, { recursive: true })
      } catch {
        // Somebody else removes it, too.
      }
    }
  }
}

/**
 * When a process started, so that a process id that comes back is another deployment; '' where the system does not say.
 */
function startOf (pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name, in parentheses, may have spaces; the time is the 20th field after it (proc_pid_stat(5), field 22).
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
