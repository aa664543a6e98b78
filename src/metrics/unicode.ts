/** With the flag `u` it finds only a surrogate that is alone. */
const ALONE = /\p{Surrogate}/gu

/**
 * The text as UTF-8 can have it: a lone surrogate is U+FFFD, which is what Node writes for it. Two texts that a scraper would read as the same one are the same
 * text here.
 */
export function wellFormed (text: string): string {
  return text.replace(ALONE, '\ufffd')
}
