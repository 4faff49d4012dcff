/** The first tables. A migration that has been released is never edited: the next change is a new file. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Initial1790000000001 implements MigrationInterface {
  readonly name = 'Initial1790000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE "object" (
        "kind" text NOT NULL, "namespace" text NOT NULL, "name" text NOT NULL, "document" text NOT NULL,
        PRIMARY KEY ("kind", "namespace", "name"))`);
    await runner.query(`
      CREATE TABLE "revision" (
        "number" integer PRIMARY KEY NOT NULL, "author" text NOT NULL, "comment" text NOT NULL, "at" text NOT NULL,
        "changes" text NOT NULL)`);
    await runner.query(`
      CREATE TABLE "api_token" (
        "id" text PRIMARY KEY NOT NULL, "name" text NOT NULL UNIQUE, "hash" text NOT NULL, "created_at" text NOT NULL,
        "expires_at" text)`);
    await runner.query(`
      CREATE TABLE "join_token" (
        "id" text PRIMARY KEY NOT NULL, "hash" text NOT NULL, "namespace" text NOT NULL, "name" text NOT NULL,
        "identity" text NOT NULL, "labels" text NOT NULL, "created_at" text NOT NULL, "expires_at" text NOT NULL,
        "used_at" text)`);
    await runner.query(`
      CREATE TABLE "enrolment" (
        "namespace" text NOT NULL, "name" text NOT NULL, "identity" text NOT NULL, "labels" text NOT NULL,
        "seen_at" text NOT NULL, PRIMARY KEY ("namespace", "name"))`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['enrolment', 'join_token', 'api_token', 'revision', 'object']) {
      await runner.query(`DROP TABLE "${table}"`);
    }
  }
}
