/** What the database remembers of what belongs to it and is kept elsewhere: the trust anchor, by its fingerprint. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Remembered1790000000004 implements MigrationInterface {
  readonly name = 'Remembered1790000000004';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE "remembered" ("what" text PRIMARY KEY NOT NULL, "value" text NOT NULL)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE "remembered"`);
  }
}
