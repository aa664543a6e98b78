import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Makes an empty folder; removed at teardown, after what is registered for teardown later.
 * @param what it is for, a part of its name
 */
export async function temporaryFolder (t: { teardown: (fn: () => unknown) => void }, what: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `fastify-prometheus-${what}-`))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}
