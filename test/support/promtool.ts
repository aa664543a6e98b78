import { spawnSync } from 'node:child_process'
import type { Test } from 'tap'
import { unavailable } from './program.js'

/**
 * Asks promtool; where there is none, fails in CI and skips elsewhere.
 * @returns what it printed and its status; undefined where there is none
 */
export function promtool (t: Test, args: readonly string[], input: string | Buffer = ''): { status: number | null, output: string } | undefined {
  const { error, status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' })
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
    unavailable(t, 'promtool is not on the PATH: apt-get install prometheus')
    return undefined
  }
  return { status, output: stdout + stderr }
}

/** Asserts that promtool finds nothing to say about a page in the text format; where there is no promtool, fails in CI and skips elsewhere. */
export function promtoolIsContent (t: Test, page: string | Buffer): void {
  const answer = promtool(t, ['check', 'metrics'], page)
  if (answer !== undefined) t.same(answer, { status: 0, output: '' })
}
