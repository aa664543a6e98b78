import { Column, Entity, OneToMany, PrimaryGeneratedColumn, type Relation } from 'typeorm'
import { Walk } from './walk.js'

/** Somebody who walks dogs for the company. */
@Entity()
export class Walker {
  @PrimaryGeneratedColumn({ type: 'int' })
  id!: number

  @Column({ type: 'text' })
  name!: string

  @OneToMany(() => Walk, (walk) => walk.walker)
  walks?: Relation<Walk[]>
}
