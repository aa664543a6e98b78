import { spawnSync } from 'node:child_process'
import { cp, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { Processes } from '../../src/processes/index.js'
import { MeetingPlace } from '../../src/processes/meeting-place.js'
import { temporaryFolder } from '../support/temporary-folder.js'

/*
 * What those that ended have counted is taken together, whoever dies while doing it, and however many do it at once.
 */
function crash (dir: string, count: number, calls = 0): string {
  return spawnSync(process.execPath, [fileURLToPath(new URL('crash.js', import.meta.url)), dir, String(count), String(calls)], { encoding: 'utf8' }).stdout
}

const observer = { failed () {}, counted () {}, obstacle () {} }

/** Joins with nothing, and reads. */
async function look (t: Test, dir: string): Promise<{ walks: number, states: Record<string, number>, names: string[], done: () => Promise<void> }> {
  const processes = new Processes([new Registry()], new MeetingPlace(dir), 1000, '', {}, observer)
  await processes.begin()
  let ended = false
  const done = async () => { if (!ended) await processes.end(); ended = true }
  t.teardown(done)
  const families = await processes.collect(undefined, 10_000) ?? []
  const valuesOf = (name: string) => [...families.find((family) => family.name === name)?.series() ?? []]
  return {
    walks: valuesOf('walks_total')[0]?.value ?? NaN,
    states: Object.fromEntries(valuesOf('metrics_processes').map(({ labels, value }) => [labels[0]?.value ?? '', value])),
    names: families.map(({ name }) => name),
    done
  }
}

t.test('a crash at any step of taking in loses nothing, and counts nothing twice', async (t) => {
  const template = await temporaryFolder(t, 'fold')
  for (const count of [1, 20, 300]) crash(template, count)
  let calls = 1
  for (; calls < 200; calls++) {
    const dir = join(await temporaryFolder(t, 'fold'), 'copy')
    await cp(template, dir, { recursive: true, filter: (path) => !path.endsWith('.sock') })
    // A socket cannot be copied. What is no socket refuses a connection as one whose process is gone does.
    for (const name of await readdir(template)) if (name.endsWith('.sock')) await writeFile(join(dir, name), '')
    const said = crash(dir, 4000, calls)
    const { walks, states, names, done } = await look(t, dir)
    // The last one may have written what it had, or not.
    t.ok(walks === 321 || walks === 4321, `killed at call ${calls}: ${walks}`)
    t.equal(states['ended'], walks === 321 ? 3 : 4, `killed at call ${calls}: how many ended`)
    t.notOk(names.includes('dogs'), 'gauges of the dead are gone')
    await done()
    const again = await look(t, dir)
    t.equal(again.walks, walks)
    await again.done()
    if (said.startsWith('joined')) break
  }
  t.ok(calls > 15 && calls < 200, `${calls} calls`)
})

t.test('many that take in at once count each once', async (t) => {
  const dir = await temporaryFolder(t, 'fold')
  for (let i = 0; i < 6; i++) crash(dir, 10 ** i)
  const all = await Promise.all(Array.from({ length: 8 }, () => look(t, dir)))
  for (const { walks } of all) t.equal(walks, 111_111)
  t.same(new Set(await Promise.all(all.map(async () => (await look(t, dir)).walks))), new Set([111_111]))
  for (const { done } of all) await done()
})

t.test('a hundred restarts leave a handful of files', async (t) => {
  const dir = await temporaryFolder(t, 'fold')
  for (let i = 0; i < 100; i++) await (await look(t, dir)).done()
  const last = await look(t, dir)
  t.equal(last.states['ended'], 100)
  const files = await readdir(dir)
  t.ok(files.length < 10, files.join())
})
