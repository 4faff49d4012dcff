/**
 * An enrolment is one sidecar and has an id of its own; it stays for a while after its end, so that its certificate proves
 * nothing any more. Those of before had none: their sidecars join again.
 */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Enrolments1790000000003 implements MigrationInterface {
  readonly name = 'Enrolments1790000000003';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE "enrolment"`);
    await runner.query(`
      CREATE TABLE "enrolment" (
        "id" text PRIMARY KEY NOT NULL, "namespace" text NOT NULL, "name" text NOT NULL, "identity" text NOT NULL,
        "labels" text NOT NULL, "joined_at" text NOT NULL, "join_token_id" text NOT NULL, "invited_by" text NOT NULL,
        "registered_at" text, "seen_at" text NOT NULL, "certificate_ends_at" text NOT NULL, "ended_at" text, "ended" text)`);
    // One sidecar at a time speaks for a workload.
    await runner.query(`
      CREATE UNIQUE INDEX "enrolment_holds_name" ON "enrolment" ("namespace", "name") WHERE "ended" IS NULL`);
    await runner.query(`ALTER TABLE "join_token" ADD COLUMN "made_by" text NOT NULL DEFAULT ''`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "join_token" DROP COLUMN "made_by"`);
    await runner.query(`DROP TABLE "enrolment"`);
    await runner.query(`
      CREATE TABLE "enrolment" (
        "namespace" text NOT NULL, "name" text NOT NULL, "identity" text NOT NULL, "labels" text NOT NULL,
        "seen_at" text NOT NULL, PRIMARY KEY ("namespace", "name"))`);
  }
}
