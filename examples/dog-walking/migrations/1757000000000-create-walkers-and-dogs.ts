import type { MigrationInterface, QueryRunner } from 'typeorm'

export class CreateWalkersAndDogs1757000000000 implements MigrationInterface {
  async up (runner: QueryRunner): Promise<void> {
    await runner.query("CREATE TYPE dog_size AS ENUM ('xs', 's', 'm', 'l', 'xl')")
    await runner.query('CREATE TABLE walker (id serial PRIMARY KEY, name text NOT NULL)')
    await runner.query('CREATE TABLE dog (id serial PRIMARY KEY, name text NOT NULL, size dog_size NOT NULL)')
  }

  async down (runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE dog')
    await runner.query('DROP TABLE walker')
    await runner.query('DROP TYPE dog_size')
  }
}
