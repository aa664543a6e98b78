import type { MigrationInterface, QueryRunner } from 'typeorm'

export class CreateWalks1757000100000 implements MigrationInterface {
  async up (runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE walk (
        id serial PRIMARY KEY,
        walker_id int NOT NULL REFERENCES walker,
        dog_id int NOT NULL REFERENCES dog,
        started_at timestamptz NOT NULL,
        ended_at timestamptz CHECK (ended_at >= started_at),
        distance int CHECK (distance >= 0),
        CHECK ((ended_at IS NULL) = (distance IS NULL))
      )`)
    await runner.query('CREATE UNIQUE INDEX walk_one_at_a_time ON walk (dog_id) WHERE ended_at IS NULL')
    await runner.query('CREATE INDEX walk_ended_at ON walk (ended_at)')
  }

  async down (runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE walk')
  }
}
