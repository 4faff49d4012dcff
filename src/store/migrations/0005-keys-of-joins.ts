/** A join token knows by which key it was used: whoever did not hear the answer may ask again with the same one. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class KeysOfJoins1790000000005 implements MigrationInterface {
  readonly name = 'KeysOfJoins1790000000005';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "join_token" ADD COLUMN "used_by_key" text`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "join_token" DROP COLUMN "used_by_key"`);
  }
}
