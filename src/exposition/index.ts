export { Exposition, type ExpositionSettings, type Pages, type ScrapeObserver } from './exposition.js'
export { FORMATS, readRequest, type Format, type ScrapeRequest } from './negotiation.js'
export type { Outcome } from './scrape.js'
