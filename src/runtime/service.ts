import { readFileSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'

/** The name and the version of the service, as its package.json has them. */
export interface Service {
  readonly name: string | null
  readonly version: string | null
}

const PACKAGES = `${sep}node_modules${sep}`

/**
 * What the nearest package.json of the program says; npm's variables where there is none. A program in node_modules,
 * such as fastify-cli, starts the service of the folder beside.
 * @param program the path of the program. Default: the one that runs
 */
export function readService (program = process.argv[1] ?? ''): Service {
  const { npm_package_name: name = null, npm_package_version: version = null } = process.env
  const [own = ''] = program.split(PACKAGES)
  for (let folder = own === program ? dirname(program) : own || sep; ; folder = dirname(folder)) {
    try {
      const found = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>
      if (typeof found['name'] === 'string') return { name: found['name'], version: typeof found['version'] === 'string' ? found['version'] : null }
    } catch {
      // There is none here, or it cannot be read: the next one says it.
    }
    if (folder === dirname(folder)) return { name, version }
  }
}
