import { MetricsError } from '../validation/errors.js'

/** What to do about what the file system says. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'its disk is full; free some space, or give a directory elsewhere',
  EDQUOT: 'the user has used up its quota; free some space, or give a directory elsewhere',
  EROFS: 'it is read-only; give a directory elsewhere',
  EACCES: 'this user may not use it; give it to the user of this process, or give another',
  EPERM: 'this user may not use it; give it to the user of this process, or give another',
  EMFILE: 'this process has too many files open; raise its limit (ulimit -n)',
  ENFILE: 'the machine has too many files open; raise its limit'
}

/** An error about the directory where processes meet, with what to do about it. */
export function obstacleOf (path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (error instanceof MetricsError || code === undefined) return error
  return unusable(path, ADVICE[code] ?? `${code}; give another directory`)
}

/** @param why what is wrong with it, and what to do */
export function unusable (path: string, why: string): MetricsError {
  return new MetricsError('FP_ERR_PROCESSES', `the directory of 'processes', '${path}', cannot be used: ${why}. Until then each process serves its own metrics alone`)
}
