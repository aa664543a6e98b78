export { assertSeries, assertSeriesChanged, assertSeriesCompare, assertSeriesUnchanged } from './assertions.js'
export { snapshot, type Sample, type Snapshot } from './snapshot.js'
