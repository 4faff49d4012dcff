/** Who was lost is known as that after a restart: a lease to come back is for those who were there. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class LostSidecars1790000000006 implements MigrationInterface {
  readonly name = 'LostSidecars1790000000006';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "enrolment" ADD COLUMN "lost_since" text`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "enrolment" DROP COLUMN "lost_since"`);
  }
}
