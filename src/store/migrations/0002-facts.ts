/** What sidecars report is kept apart from what people wish: a table of its own, and no revisions any more. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Facts1790000000002 implements MigrationInterface {
  readonly name = 'Facts1790000000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE "fact" (
        "namespace" text NOT NULL, "name" text NOT NULL, "enrolment" text NOT NULL, "labels" text NOT NULL,
        "spec" text NOT NULL, "created_at" text NOT NULL, "reported_at" text NOT NULL,
        PRIMARY KEY ("namespace", "name"))`);
    const reported = `"kind" = 'Workload' AND json_extract("document", '$.metadata.origin') = 'sidecar'`;
    await runner.query(`
      INSERT INTO "fact"
      SELECT "namespace", "name", '', json_extract("document", '$.metadata.labels'), json_extract("document", '$.spec'),
        json_extract("document", '$.metadata.createdAt'), json_extract("document", '$.metadata.updatedAt')
      FROM "object" WHERE ${reported}`);
    await runner.query(`DELETE FROM "object" WHERE ${reported}`);
  }

  /** Every sidecar reports again sooner or later. */
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE "fact"');
  }
}
