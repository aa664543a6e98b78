import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../support/temporary-folder.js'

const folder = await temporaryFolder(t, 'undici')

/** What a process has told of its programs. */
interface Told {
  readonly seen: Readonly<Record<string, readonly string[]>>
  readonly left: Readonly<Record<string, readonly string[]>>
  readonly counted?: { readonly kinds: Readonly<Record<string, number>>, readonly trouble: number }
}

async function processOf (kind: string, how: string): Promise<Told> {
  const file = join(folder, `${kind}-${how}`)
  const script = fileURLToPath(new URL('undici-process.ts', import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, script, kind, how, file], { stdio: ['ignore', 'inherit', 'pipe'] })
  const [stderr, code] = await Promise.all([child.stderr.toArray(), new Promise((resolve) => child.on('close', resolve))])
  if (code !== 0) throw new Error(`it ended with ${code}: ${stderr.join('').slice(0, 5000)}`)
  return JSON.parse(await readFile(file, 'utf8')) as Told
}

async function compare (t: Test, kind: string): Promise<void> {
  const [bare, observed, undone] = await Promise.all([processOf(kind, 'bare'), processOf(kind, 'observed'), processOf(kind, 'undone')])
  for (const [how, { seen, left, counted }] of Object.entries({ observed, undone })) {
    for (const [name, notes] of Object.entries(bare.seen)) t.same(seen[name], notes, `${name}, ${how}`)
    t.same(left, bare.left, `unhandled rejections, uncaught exceptions and warnings, ${how}`)
    t.equal(counted?.trouble, 0)
    const requests = Object.values(counted?.kinds ?? {}).reduce((sum, count) => sum + count, 0)
    if (how === 'undone') t.equal(requests, 0)
    else t.ok(requests >= Object.keys(bare.seen).length / 2, `${requests} requests were observed`)
  }
}

for (const kind of ['fetch', 'undici-fetch', 'undici', 'node-http']) t.test(`an application of ${kind} sees the same with and without`, (t) => compare(t, kind))
