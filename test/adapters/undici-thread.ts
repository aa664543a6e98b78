import { get } from 'node:http'
import { parentPort, workerData } from 'node:worker_threads'
import { observedOutgoing } from '../support/outgoing.js'

/** A thread of its own for undici-beside.test.ts. */
const outgoing = observedOutgoing({ teardown: () => {} })
await (await fetch(workerData)).text()
await new Promise((resolve) => { get(workerData, (response) => { response.resume().on('close', resolve) }) })
parentPort?.postMessage(await outgoing.settled())
