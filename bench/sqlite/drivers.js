/** The drivers of SQLite that this Node can load, as what opens a database in memory. */
export async function drivers () {
  const found = {}
  try {
    const { default: Database } = await import('better-sqlite3')
    // It loads its addon, which is built for one version of Node, with its first database.
    new Database(':memory:').close()
    found['better-sqlite3'] = () => new Database(':memory:')
  } catch (error) {
    if (error.code !== 'ERR_DLOPEN_FAILED') throw error
  }
  try {
    const { DatabaseSync } = await import('node:sqlite')
    found['node:sqlite'] = () => new DatabaseSync(':memory:')
  } catch (error) {
    if (error.code !== 'ERR_UNKNOWN_BUILTIN_MODULE') throw error
  }
  return found
}
