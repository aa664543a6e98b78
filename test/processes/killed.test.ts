import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fleet, valueOf, type Worker } from './fleet.js'

/*
 * A service of several processes under load, while they are killed, ended and stopped at random: each scrape against what the clients were answered. Never above,
 * never less than before, and short by no more than what the killed and the stopped had counted since their last write.
 *
 * SOAK_SECONDS=600 is a long one.
 */
const WORKERS = 4
const FLUSH = 1000
/** How long a write may take on a busy machine. */
const WRITE = 1000
const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 15)
const CLIENTS = 4

t.test('counters never go back, whoever dies', { timeout: (SECONDS * 3 + 60) * 1000 }, async (t) => {
  const fleet = await Fleet.start(t, WORKERS, FLUSH)
  let sent = 0
  /** When each worker gave its answers. */
  const answers = new Map<number, number[]>()
  const stopped = new Map<number, number>()
  /** Of the killed: since when their answers may be lost. */
  const killed = new Map<number, number>()
  const over = new AbortController()
  const living = () => fleet.workers.filter(({ pid }) => !stopped.has(pid))
  const one = <T>(of: readonly T[]): T | undefined => of[Math.floor(Math.random() * of.length)]

  const client = async () => {
    while (!over.signal.aborted) {
      const worker = one(living())
      if (worker === undefined) { await sleep(5); continue }
      sent++
      try {
        const response = await fetch(`${worker.url}/walk`, { signal: AbortSignal.timeout(2000) })
        await response.json()
        const times = answers.get(worker.pid) ?? []
        answers.set(worker.pid, times)
        times.push(Date.now())
      } catch { /* killed, or stopped */ }
      await sleep(2)
    }
  }
  const clients = Array.from({ length: CLIENTS }, client)
  const answered = (before: number) => {
    let sure = 0
    for (const [pid, times] of answers) {
      const until = Math.min(before, (killed.get(pid) ?? stopped.get(pid) ?? Infinity) - FLUSH - WRITE)
      // What was shown once is not lost; that is tested by `least`.
      for (const time of times) if (time < until || (killed.get(pid) === undefined && stopped.get(pid) === undefined && time < before)) sure++
    }
    return sure
  }

  const began = Date.now()
  let least = 0
  let scrapes = 0
  const wrong: string[] = []
  const disturb = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await sleep(300 + Math.random() * 700)
      const worker: Worker | undefined = one(living())
      if (worker === undefined || living().length < 2) continue
      const what = one(['SIGKILL', 'SIGTERM', 'SIGSTOP'] as const) ?? 'SIGKILL'
      if (what === 'SIGKILL') killed.set(worker.pid, Date.now())
      if (what === 'SIGSTOP') {
        stopped.set(worker.pid, Date.now())
        setTimeout(() => { try { fleet.signal(worker, 'SIGCONT') } catch { /* it is gone */ } setTimeout(() => stopped.delete(worker.pid), 200) }, 1500)
      }
      fleet.signal(worker, what)
    }
  }
  const disturbing = disturb()
  // A slow machine takes longer for the same load.
  const isEnough = () => Date.now() - began >= SECONDS * 1000 && scrapes > SECONDS && sent > SECONDS * 50
  while (!isEnough()) {
    const scraped = one(living())
    if (scraped === undefined) { await sleep(20); continue }
    const asked = Date.now()
    let page: string
    try {
      page = await (await fetch(`${scraped.url}/metrics`, { headers: { 'x-prometheus-scrape-timeout-seconds': '2' }, signal: AbortSignal.timeout(4000) })).text()
    } catch { continue }
    const value = valueOf(page, /^http_request_duration_seconds_count\{.*route="\/walk"/)
    if (Number.isNaN(value)) continue
    const got = Date.now()
    const oldest = valueOf(page, /^metrics_contribution_oldest_seconds /) * 1000
    // Who lives and is too slow to answer has what it has written, and the page says how old that is.
    const sure = answered(oldest < got - asked ? asked : got - oldest - WRITE)
    scrapes++
    if (Number.isNaN(oldest)) wrong.push(`scrape ${scrapes} does not say how old it is`)
    if (value > sent) wrong.push(`scrape ${scrapes}: ${value} answers, and ${sent} were asked for`)
    if (value < least) wrong.push(`scrape ${scrapes}: ${value} answers, after ${least}`)
    if (value < sure) wrong.push(`scrape ${scrapes}: ${value} answers, and ${sure} are sure`)
    least = Math.max(least, value)
    await sleep(50)
  }
  over.abort()
  await Promise.all([...clients, disturbing])
  t.same(wrong, [], `${scrapes} scrapes, ${sent} requests, ${killed.size} killed`)
  t.same(fleet.shared, [], 'the primary of the cluster sees nothing of it')
  t.comment(`${scrapes} scrapes, ${sent} requests, ${killed.size} killed, at last ${least}`)
})
