import { Redis } from 'ioredis'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { databaseClass } from '../lib/sqlite-class.mjs'

/** @typedef {import('../growth/connect.mjs').StoreName} StoreName */

/**
 * What a careful person writes: the ids themselves, with a unique key over them, and no window on SQL.
 *
 * @typedef {object} Floor
 * @property {string} what
 * @property {(ids: readonly string[]) => Promise<number>} filterNew How many of them were new.
 * @property {() => Promise<void>} close
 */

const SECONDS = 86_400

/** @type {Record<StoreName, (url: string) => Promise<Floor>>} */
export const FLOORS = {
  async redis(url) {
    const client = new Redis(url)
    return {
      what: '`SET id 1 NX EX`, pipelined',
      async filterNew(ids) {
        const pipeline = client.pipeline()
        for (const id of ids) pipeline.set(`seen:${id}`, '1', 'EX', SECONDS, 'NX')
        const replies = (await pipeline.exec()) ?? []
        return replies.filter(([, reply]) => reply === 'OK').length
      },
      close: async () => void (await client.quit()),
    }
  },
  async postgres(url) {
    const pool = new pg.Pool({ connectionString: url, max: 10 })
    await pool.query('CREATE TABLE by_hand (id text PRIMARY KEY, seen_at timestamptz NOT NULL DEFAULT now())')
    return {
      what: '`INSERT … ON CONFLICT DO NOTHING RETURNING`',
      async filterNew(ids) {
        const sql = 'INSERT INTO by_hand (id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING id'
        return (await pool.query(sql, [ids])).rows.length
      },
      close: () => pool.end(),
    }
  },
  async mariadb(url) {
    const pool = mysql.createPool({ uri: url, connectionLimit: 10 })
    await pool.query(
      'CREATE TABLE by_hand (id VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, seen_at TIMESTAMP DEFAULT NOW())',
    )
    return {
      what: '`INSERT IGNORE … RETURNING`',
      async filterNew(ids) {
        const [rows] = await pool.query('INSERT IGNORE INTO by_hand (id) VALUES ? RETURNING id', [
          ids.map((id) => [id]),
        ])
        return /** @type {unknown[]} */ (rows).length
      },
      close: () => pool.end(),
    }
  },
  async sqlite(file) {
    const Database = databaseClass()
    const database = new Database(`${file}.by-hand`)
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    database.exec('CREATE TABLE by_hand (id TEXT PRIMARY KEY, seen_at INTEGER NOT NULL) WITHOUT ROWID')
    const insert = database.prepare('INSERT INTO by_hand VALUES (?, ?) ON CONFLICT DO NOTHING')
    return {
      what: '`INSERT … ON CONFLICT DO NOTHING` in one transaction',
      async filterNew(ids) {
        let fresh = 0
        database.exec('BEGIN IMMEDIATE')
        for (const id of ids) fresh += Number(insert.run(id, Date.now()).changes)
        database.exec('COMMIT')
        return fresh
      },
      close: async () => void database.close(),
    }
  },
}
