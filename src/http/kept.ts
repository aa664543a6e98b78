/**
 * What Fastify keeps under a symbol of its own (fastify/lib/symbols.js), which it gives to nobody: found by the symbol's description.
 * @returns the symbol; undefined where this Fastify has none of that name there
 */
export function symbolOf (owner: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(owner).find((symbol) => symbol.description === description)
}

/** What Fastify keeps there; undefined where it does not. */
export function keptIn (owner: object, description: string): unknown {
  const symbol = symbolOf(owner, description)
  return symbol === undefined ? undefined : (owner as Record<symbol, unknown>)[symbol]
}
