import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a test is to whoever starts a program for it. */
export interface Test {
  teardown (fn: () => unknown): void
  pass (message: string, options: { skip: string }): unknown
  fail (message: string): unknown
}

/** Says in one line that a test cannot run here: it has failed where CI is set, and is skipped elsewhere. */
export function unavailable (t: Pick<Test, 'pass' | 'fail'>, why: string): void {
  if (process.env.CI) t.fail(why)
  else t.pass(why, { skip: why })
}

/**
 * Starts a program of the PATH and stops it at teardown.
 * @param from what brings it, such as 'apt-get install prometheus'
 * @returns undefined where there is none, which is said
 */
export async function startProgram (t: Test, name: string, args: readonly string[], from: string, options: SpawnOptions = {}): Promise<ChildProcess | undefined> {
  const child = spawn(name, args, options)
  try {
    await once(child, 'spawn')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    unavailable(t, `${name} is not on the PATH: ${from}`)
    return undefined
  }
  const kill = () => child.kill('SIGKILL')
  // It would outlive a process that ends without its teardowns.
  process.once('exit', kill)
  t.teardown(async () => {
    process.off('exit', kill)
    await stop(child)
  })
  return child
}

/** Waits until a program answers at an address: many log that they listen before they do. @throws Error where it ends instead */
export async function answers (child: ChildProcess, url: string): Promise<void> {
  while (!await fetch(url).then(({ ok }) => ok, () => false)) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode} before it answered at ${url}`)
    await sleep(50)
  }
}

async function stop (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill()
  await exit
}
