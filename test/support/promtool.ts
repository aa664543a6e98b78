import { spawnSync } from 'node:child_process'
import type { Test } from 'tap'

const MISSING = 'promtool is not on the PATH: apt-get install prometheus'

/** Asserts that promtool finds nothing to say about a page in the text format; where there is no promtool, fails in CI and skips elsewhere. */
export function promtoolIsContent (t: Test, page: string | Buffer): void {
  const { error, status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: page, encoding: 'utf8' })
  if (error !== undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') {
    if (process.env.CI) t.fail(MISSING)
    else t.pass(MISSING, { skip: MISSING })
    return
  }
  t.equal(stdout + stderr, '')
  t.equal(status, 0)
}
