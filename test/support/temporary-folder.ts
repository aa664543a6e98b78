import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Makes an empty folder; removed at teardown, after what is registered for teardown later.
 * @param what it is for, a part of its name
 */
export async function temporaryFolder (t: { teardown: (fn: () => unknown) => void }, what: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `fastify-prometheus-${what}-`))
  t.teardown(() => removeFolder(folder))
  return folder
}

/**
 * Removes a folder in which somebody may be writing: a member of many processes whose application has closed writes what
 * changes until its process ends, and does not come back where the folder is gone. A file that comes between reading the
 * folder and removing it is no failure, but one more look.
 */
export async function removeFolder (folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })
}
