import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../support/temporary-folder.js'
import { valueOf } from './fleet.js'

/** A process with threads. */
async function start (t: Test, dir: string, threads: number): Promise<{ page: () => Promise<string>, tell: (what: 'end' | 'kill') => Promise<void> }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('threads.js', import.meta.url)), dir, String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(async () => {
    const exit = once(child, 'exit')
    child.stdin.end()
    await exit
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const { value: url } = await lines.next() as { value: string }
  return {
    page: async () => await (await fetch(url)).text(),
    async tell (what) {
      child.stdin.write(`${what}\n`)
      await lines.next()
    }
  }
}

t.test('several threads in several processes are on one page, and what a thread counted stays when it ends', async (t) => {
  const dir = await temporaryFolder(t, 'threads')
  const [one, two] = [await start(t, dir, 3), await start(t, dir, 3)]
  for (const { page } of [one, two]) t.equal(valueOf(await page(), /^jobs_total /), 2222)
  t.match(await one.page(), 'metrics_processes{state="live"} 8')
  await one.tell('end')
  t.equal(valueOf(await two.page(), /^jobs_total /), 102_222, 'nothing is lost that was counted at the last moment')
  await two.tell('kill')
  const killed = await one.page()
  t.equal(valueOf(killed, /^jobs_total /), 102_222)
  t.match(killed, 'metrics_processes{state="ended"} 2')
  t.match(killed, 'metrics_processes{state="live"} 6')
})

t.test('the threads of one process meet by themselves', async (t) => {
  const one = await start(t, '', 3)
  const two = await start(t, '', 1)
  await sleep(0)
  t.equal(valueOf(await one.page(), /^jobs_total /), 1111)
  t.equal(valueOf(await two.page(), /^jobs_total /), 1001, 'and no others')
})
