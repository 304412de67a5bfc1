/** Packages that tests use and that bring no types. */

declare module 'express-4' {
  import express from 'express'
  export default express
}

declare module 'better-sqlite3' {
  const Database: new (
    path: string,
    options?: object,
  ) => import('../src/drivers/sqlite/sqlite-handle.ts').SqliteHandle
  export default Database
}
