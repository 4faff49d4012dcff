/** As much of the binding of SQLite as is used where TypeORM is of no use: it brings no types of its own. */
declare module 'better-sqlite3' {
  interface Statement {
    run(...values: unknown[]): unknown;
    all(...values: unknown[]): unknown[];
    get(...values: unknown[]): unknown;
  }

  export default class Sqlite {
    constructor(file: string, options?: { readonly timeout?: number; readonly fileMustExist?: boolean });
    readonly inTransaction: boolean;
    pragma(text: string, options?: { readonly simple: true }): unknown;
    exec(sql: string): unknown;
    prepare(sql: string): Statement;
    close(): void;
  }
}
