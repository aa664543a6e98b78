/** With the flag `u` this pattern finds only lone surrogates. */
const ALONE = /\p{Surrogate}/gu

/**
 * The text in a form that UTF-8 can encode: a lone surrogate becomes U+FFFD, which Node would write for it. So two
 * texts that a scraper would read as the same text are equal here.
 */
export function wellFormed (text: string): string {
  return text.replace(ALONE, '\ufffd')
}
