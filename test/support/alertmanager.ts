import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { freePort } from './postgres.js'
import { answers, startProgram, type Test } from './program.js'
import { temporaryFolder } from './temporary-folder.js'

/** The text of an alertmanager.yml whose route waits a second where it waited minutes; its child routes wait as they did. */
export function hurriedRoute (config: string): string {
  return config.replace(/^ {2}group_(wait|interval): .*$/gm, '  group_$1: 1s')
}

/** What Alertmanager tells a receiver (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config). */
export interface Notification {
  /** By the path of its webhook: pager, tickets, watchdog. */
  readonly receiver: string
  /** Milliseconds since 1970. */
  readonly at: number
  readonly status: 'firing' | 'resolved'
  readonly groupLabels: Readonly<Record<string, string>>
  readonly alerts: ReadonlyArray<{ readonly status: 'firing' | 'resolved', readonly labels: Readonly<Record<string, string>>, readonly annotations: Readonly<Record<string, string>> }>
}

/** The address that the webhooks of examples/prometheus/alertmanager.yml have. */
const WEBHOOKS = 'http://127.0.0.1:9094/'

/**
 * Starts the Alertmanager of the PATH on a free port, and somebody who is notified; both stopped at teardown.
 * @param config the text of an alertmanager.yml whose webhooks are at http://127.0.0.1:9094/; they are moved to where the receiver listens
 * @returns undefined where there is none: the test has failed with CI set, else it is skipped
 */
export async function startAlertmanager (t: Test, config: string): Promise<Alertmanager | undefined> {
  const folder = await temporaryFolder(t, 'alertmanager')
  const notifications: Notification[] = []
  const receiver = createServer((request, response) => {
    const at = Date.now()
    text(request).then((body) => {
      notifications.push({ ...JSON.parse(body) as Notification, receiver: (request.url ?? '').slice(1), at })
      response.end()
    }, () => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  t.teardown(() => close(receiver))
  const file = join(folder, 'alertmanager.yml')
  await writeFile(file, config.replaceAll(WEBHOOKS, `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`))
  const address = `127.0.0.1:${await freePort()}`
  const args = [`--config.file=${file}`, `--storage.path=${join(folder, 'data')}`, `--web.listen-address=${address}`, '--cluster.listen-address=']
  const child = await startProgram(t, 'prometheus-alertmanager', args, 'apt-get install prometheus-alertmanager', { stdio: ['ignore', 'ignore', 'pipe'] })
  if (child === undefined) return undefined
  let log = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => { log += text })
  const url = `http://${address}`
  await answers(child, `${url}/-/ready`).catch((error: Error) => { throw new Error(`${error.message}:\n${log}`) })
  return new Alertmanager(url, notifications)
}

/** A running Alertmanager, and what it sent. */
export class Alertmanager {
  constructor (
    readonly url: string,
    /** In the order in which they came. */
    readonly notifications: readonly Notification[]
  ) {}

  /** Tells it of alerts, as Prometheus does (https://prometheus.io/docs/alerting/latest/clients/). @param ended whether they are over */
  async tell (alerts: ReadonlyArray<Readonly<Record<string, string>>>, ended = false): Promise<void> {
    const now = new Date().toISOString()
    const body = JSON.stringify(alerts.map((labels) => ({ labels, annotations: {}, ...ended && { endsAt: now } })))
    const { ok, status } = await fetch(`${this.url}/api/v2/alerts`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    if (!ok) throw new Error(`Alertmanager answered ${status}`)
  }

  /** The names of the alerts that it has and does not silence. */
  async active (): Promise<string[]> {
    const response = await fetch(`${this.url}/api/v2/alerts?inhibited=false`)
    return (await response.json() as Array<{ labels: { alertname: string } }>).map(({ labels }) => labels.alertname)
  }
}

async function close (server: Server): Promise<void> {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}
