/**
 * Takes steps, each of which returns what undoes it.
 * @returns a function that undoes all of them, the last first
 * @throws what a step throws, after the steps before it are undone
 */
export function taken (steps: Iterable<() => () => void>): () => void {
  const undos: Array<() => void> = []
  const undo = () => { for (const each of undos.reverse()) each() }
  try {
    for (const step of steps) undos.push(step())
  } catch (error) {
    undo()
    throw error
  }
  return undo
}
