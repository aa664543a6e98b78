import { Column, Entity, JoinColumn, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm'
import { Dog } from './dog.js'
import { Walker } from './walker.js'

/** One dog, one walker, once around the park. A dog has one walk at a time: the database sees to it. */
@Entity()
export class Walk {
  @PrimaryGeneratedColumn({ type: 'int' })
  id!: number

  @ManyToOne(() => Walker, (walker) => walker.walks, { nullable: false })
  @JoinColumn({ name: 'walker_id' })
  walker!: Relation<Walker>

  @ManyToOne(() => Dog, (dog) => dog.walks, { nullable: false })
  @JoinColumn({ name: 'dog_id' })
  dog!: Relation<Dog>

  @Column({ name: 'started_at', type: 'timestamptz' })
  startedAt!: Date

  /** Null while they are out. */
  @Column({ name: 'ended_at', type: 'timestamptz', nullable: true })
  endedAt!: Date | null

  /** Metres; null while they are out. */
  @Column({ type: 'int', nullable: true })
  distance!: number | null
}
