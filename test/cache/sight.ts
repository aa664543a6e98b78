import { inspect } from 'node:util'

/** What can be seen of an error: all but what differs from run to run, and of its stack the frames of the tests. */
export function sight (value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const frames = value.stack?.split('\n').filter((line) => /test\/adapters\/cache-[^/]+\.test\.ts/.test(line)).map((line) => line.trim())
  return { ...value, text: String(value), constructor: value.constructor.name, frames }
}

/** What an application sees of one call: what it returns, what it throws, and what it notes itself. */
export async function seenBy (application: (note: (...seen: unknown[]) => void) => unknown): Promise<unknown[]> {
  const seen: unknown[] = []
  async function call () {
    const back = application((...args) => seen.push(...args.map(sight)))
    seen.push(typeof back, back instanceof Promise)
    seen.push(await back)
  }
  try {
    await call()
  } catch (error) {
    seen.push(sight(error))
  }
  return seen
}

/** All that was seen, as text that can be compared. */
export function sights (seen: unknown): string {
  return inspect(seen, { depth: 8, maxArrayLength: null, breakLength: 120 })
}
