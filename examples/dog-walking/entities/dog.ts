import { Column, Entity, OneToMany, PrimaryGeneratedColumn, type Relation } from 'typeorm'
import { Walk } from './walk.js'

export const dogSizes = ['xs', 's', 'm', 'l', 'xl'] as const
export type DogSize = (typeof dogSizes)[number]

/** A customer. */
@Entity()
export class Dog {
  @PrimaryGeneratedColumn({ type: 'int' })
  id!: number

  @Column({ type: 'text' })
  name!: string

  @Column({ type: 'enum', enum: dogSizes, enumName: 'dog_size' })
  size!: DogSize

  @OneToMany(() => Walk, (walk) => walk.dog)
  walks?: Relation<Walk[]>
}
