/**
 * Finds one of Fastify's own symbols (fastify/lib/symbols.js), which it does not export, by the symbol's description.
 * @returns the symbol; undefined when the object has no symbol of that description
 */
export function symbolOf (owner: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(owner).find((symbol) => symbol.description === description)
}

/** The value that Fastify keeps under the symbol of that description; undefined when there is none. */
export function keptIn (owner: object, description: string): unknown {
  const symbol = symbolOf(owner, description)
  return symbol === undefined ? undefined : (owner as Record<symbol, unknown>)[symbol]
}
