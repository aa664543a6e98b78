import { metric, type Scope } from '../catalogue.js'
import { invalidOption } from '../validation/errors.js'
import { isRecord, readGiven, refuseUnknown } from '../validation/given.js'
import { readService } from './service.js'

/** Which build of the service runs. */
export interface Build {
  /** Default: the version in the nearest package.json of the program. */
  version?: string | undefined
  /**
   * Default: the environment variable GIT_COMMIT, GIT_COMMIT_SHA, COMMIT_SHA, SOURCE_VERSION, DD_GIT_COMMIT_SHA,
   * HEROKU_BUILD_COMMIT, RENDER_GIT_COMMIT, RAILWAY_GIT_COMMIT_SHA, VERCEL_GIT_COMMIT_SHA or KOYEB_GIT_SHA.
   */
  commit?: string | undefined
}

/**
 * Variables that have the commit of what runs: those that people set themselves, then those of platforms. Variables of
 * CI runners are missing, for a service that is tested there is not that build; and so is HEROKU_SLUG_COMMIT, which
 * stays behind.
 */
const COMMITS = [
  'GIT_COMMIT', 'GIT_COMMIT_SHA', 'COMMIT_SHA', 'SOURCE_VERSION', 'DD_GIT_COMMIT_SHA',
  'HEROKU_BUILD_COMMIT', 'RENDER_GIT_COMMIT', 'RAILWAY_GIT_COMMIT_SHA', 'VERCEL_GIT_COMMIT_SHA', 'KOYEB_GIT_SHA'
]
/** A hash of git, whole or abbreviated. Whatever else a variable has is no commit, and may be a secret. */
const HASH = /^[0-9a-f]{7,64}$/i
/** What may be a label: no path, no address, no sentence. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}$/

/** Checks the option `build`. @throws MetricsError FP_ERR_INVALID_OPTION */
export function readBuild (owner: string, given: unknown): Build {
  if (given === undefined) return {}
  if (!isRecord(given)) throw invalidOption(owner, 'build', 'an object with version and commit', given)
  const { values: { version, commit }, unknown } = readGiven(owner, 'build.', given, ['version', 'commit'])
  refuseUnknown(owner, 'build.', given, unknown, 'version or commit', new Map())
  for (const [name, value] of Object.entries({ version, commit })) {
    if (value !== undefined && !(typeof value === 'string' && NAME.test(value))) {
      throw invalidOption(owner, `build.${name}`, "at most 64 letters, digits and '.', '_', '+', '~', '-'", value)
    }
  }
  return { version: version as string | undefined, commit: commit as string | undefined }
}

/**
 * Shows which build runs. Where neither a version nor a commit is known, nothing is shown.
 * @returns a function that ends it
 */
export function showBuild (scope: Scope, build: Build): () => void {
  const { version = versionOf(), commit = commitIn(process.env) } = build
  if (version === '' && commit === '') return () => {}
  return metric('app_build_info', scope).addCallback((family) => { family.atLeast({ version, commit }, 1) })
}

function versionOf (): string {
  const { version } = readService()
  return version !== null && NAME.test(version) ? version : ''
}

function commitIn (env: Readonly<Record<string, string | undefined>>): string {
  for (const name of COMMITS) {
    const value = env[name]?.trim() ?? ''
    if (HASH.test(value)) return value
  }
  return ''
}
