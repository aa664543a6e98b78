export { Processes, type ProcessesSettings } from './processes.js'
export { readProcesses, type ProcessesOptions } from './settings.js'
