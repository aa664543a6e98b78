/** Why the service cannot start, in one line for whoever started it: what is wrong and what to do. */
export class StartError extends Error {
  constructor (message: string) {
    super(message.replace(/\s*\n\s*/g, ' '))
    this.name = 'StartError'
  }
}

/** What is left of an error when it has to fit in a line. Connection errors of Node for several addresses have no message of their own. */
export function reasonOf (error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const first = error instanceof AggregateError ? reasonOf(error.errors[0]) : ''
  return (error.message || first || codeOf(error) || error.name).split('\n', 1)[0] as string
}

/** The code of an error of Node or of PostgreSQL, '' where it has none. */
export function codeOf (error: unknown): string {
  const { code } = Object(error) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}
