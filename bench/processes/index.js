// Several processes that answer as one.
import { flush } from './flush.js'
import { scrape } from './scrape.js'

export async function processes () {
  return [...await flush(), ...await scrape()]
}
