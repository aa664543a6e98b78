import type { DataSource } from 'typeorm'
import { Dog, type DogSize } from './entities/dog.js'
import { Walker } from './entities/walker.js'

const WALKERS = ['Ada', 'Grace', 'Linus', 'Edsger']
const DOGS: Array<[name: string, size: DogSize]> = [
  ['Pixel', 'xs'], ['Byte', 's'], ['Biscuit', 's'], ['Nibble', 'm'], ['Kernel', 'm'], ['Cookie', 'l'], ['Vector', 'l'], ['Cluster', 'xl']
]

/** Gives a company without anybody its walkers and dogs. @returns whether it needed them */
export async function seed (dataSource: DataSource): Promise<boolean> {
  return dataSource.transaction(async (manager) => {
    if (await manager.existsBy(Walker, {}) || await manager.existsBy(Dog, {})) return false
    await manager.save(WALKERS.map((name) => manager.create(Walker, { name })))
    await manager.save(DOGS.map(([name, size]) => manager.create(Dog, { name, size })))
    return true
  })
}
