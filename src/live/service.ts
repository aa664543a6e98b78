import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The name and the version of the service, as its package.json has them. */
export interface Service {
  readonly name: string | null
  readonly version: string | null
}

/** What the nearest package.json of the program says; npm's variables where there is none. */
export function readService (): Service {
  const { npm_package_name: name = null, npm_package_version: version = null } = process.env
  for (let folder = dirname(process.argv[1] ?? ''); ; folder = dirname(folder)) {
    try {
      const found = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>
      if (typeof found['name'] === 'string') return { name: found['name'], version: typeof found['version'] === 'string' ? found['version'] : null }
    } catch {
      // There is none here, or it cannot be read: the next one says it.
    }
    if (folder === dirname(folder)) return { name, version }
  }
}
