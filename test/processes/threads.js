// node threads.js <directory or ''> <threads>: a process with a page, and threads that count in registries of their own. It says its URL, and then answers each line of
// its input: 'end' ends the first thread, 'kill' terminates it.
import { createInterface } from 'node:readline'
import process from 'node:process'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import { contributeMetrics, metricsServer } from 'fastify-prometheus'
import { Counter, Registry } from 'prom-client'

const registry = new Registry()
const jobs = new Counter({ name: 'jobs_total', help: 'Jobs.', registers: [registry] })

if (isMainThread) {
  const [dir, threads] = process.argv.slice(2)
  const processes = dir === '' ? true : { dir }
  const { url } = await metricsServer({ port: 0, host: '127.0.0.1', registry, processes })
  jobs.inc(1000)
  const workers = await Promise.all(Array.from({ length: Number(threads) }, async (_, i) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { processes, jobs: 10 ** i } })
    await new Promise((resolve) => worker.once('message', resolve))
    return worker
  }))
  process.stdout.write(`${url}\n`)
  createInterface({ input: process.stdin }).on('line', async (line) => {
    const worker = workers.shift()
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    if (line === 'kill') await worker.terminate()
    else worker.postMessage('end')
    await ended
    process.stdout.write(`${line}\n`)
  }).on('close', () => process.exit())
} else {
  await contributeMetrics({ registry, processes: workerData.processes })
  jobs.inc(workerData.jobs)
  parentPort.once('message', () => {
    // What is counted at the last moment is not lost.
    jobs.inc(100_000)
    process.exit()
  })
  parentPort.postMessage('up')
}
