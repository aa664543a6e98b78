import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { unavailable, type Test } from '../support/program.js'
import { temporaryFolder } from '../support/temporary-folder.js'

/** A key and its certificate, which is signed by itself: who trusts it has it as `ca`. */
export interface Certificate {
  readonly key: string
  readonly cert: string
}

/** Certificates of localhost, of one that has expired, and of another host. */
export type Certificates = Readonly<Record<'good' | 'expired' | 'elsewhere', Certificate>>

const KINDS = {
  good: ['localhost', '30'],
  expired: ['localhost', '-1'],
  elsewhere: ['elsewhere.example.com', '30']
} as const

/** @returns undefined where there is no openssl, which is said */
export async function certificates (t: Test): Promise<Certificates | undefined> {
  const folder = await temporaryFolder(t, 'certificates')
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: folder })
  try {
    const made = await Promise.all(Object.entries(KINDS).map(async ([kind, [host, days]]) => {
      await openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${kind}.key`, '-out', `${kind}.csr`, '-subj', `/CN=${host}`,
        '-addext', `subjectAltName=DNS:${host}`)
      await openssl('x509', '-req', '-in', `${kind}.csr`, '-signkey', `${kind}.key`, '-days', days, '-copy_extensions', 'copyall', '-out', `${kind}.crt`)
      const [key, cert] = await Promise.all(['key', 'crt'].map((part) => readFile(join(folder, `${kind}.${part}`), 'utf8'))) as [string, string]
      return [kind, { key, cert }] as const
    }))
    return Object.fromEntries(made) as unknown as Certificates
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    unavailable(t, 'openssl is not on the PATH: apt-get install openssl')
    return undefined
  }
}
