// Inbox: what deduplicating a message costs, beside the same effect without, the insert written by hand, and batches.
// Run: node bench/inbox/run.mjs [--only postgres] [--rounds 3] [--ms 500] [--inFlight 32] [--batch 100] (after a build)
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import { createInbox } from 'onceward/inbox'
import pg from 'pg'
import { startMariadb, startPostgres } from '../../test-servers/index.mjs'
import { interleave } from '../lib/interleave.mjs'
import { readOptions, withFolder } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { databaseClass } from '../lib/sqlite-class.mjs'
import { median, number, pairedRatio, withRange } from '../lib/statistics.mjs'

const options = readOptions({ only: '', rounds: 3, ms: 500, inFlight: 32, batch: 100 })
const CONNECTIONS = 10

/**
 * @typedef {object} Rig
 * @property {string} about
 * @property {any} db
 * @property {(tx: any, ids: readonly string[]) => any} effect Writes one row a message.
 * @property {(id: string) => Promise<unknown>} bare One effect in a transaction, and nothing remembered.
 * @property {(id: string) => Promise<unknown>} byHand The same behind an insert with a unique key.
 * @property {() => Promise<unknown>} close
 */

/** @type {Record<string, (folder: string) => Promise<Rig>>} */
const RIGS = { postgres: postgresRig, mariadb: mariadbRig, sqlite: sqliteRig }

const [load = 0] = loadavg()
const parts = []
const abouts = []
for (const [name, open] of Object.entries(RIGS)) {
  if (!name.includes(options.only)) continue
  await withFolder(async (folder) => {
    const rig = await open(folder)
    const inbox = createInbox({ db: rig.db, consumer: 'bench' })
    try {
      abouts.push(rig.about)
      await inbox.migrate()
      parts.push(`## ${name}`, await compare(rig, inbox))
      console.error(`${name}: measured`)
    } finally {
      await inbox.close()
      await rig.close()
    }
  })
}
report(options.only === '' ? 'inbox' : `inbox-${options.only}`, 'Inbox', [
  `${abouts.join('; ')}; one client process on the same machine, ${CONNECTIONS} connections, ${options.inFlight} messages in ` +
    `flight, each with an effect of one row. Medians (min–max) of ${options.rounds} interleaved rounds of ${options.ms} ms; a ` +
    'ratio is the median of the ratios within a round.',
  ...(load > availableParallelism()
    ? [
        `**The machine was busy** with other work when this began (a load of ${load.toFixed(0)}): figures are low, ratios less sure.`,
      ]
    : []),
  ...parts,
])

/** @param {Rig} rig @param {import('onceward/inbox').Inbox} inbox */
async function compare(rig, inbox) {
  let next = 0
  const id = () => `message-${String(next++).padStart(12, '0')}`
  const known = id()
  await inbox.process(known, (tx) => rig.effect(tx, [known]))
  /** @type {Record<string, { messages: number, send: () => Promise<unknown> }>} */
  const contestants = {
    'the effect alone': { messages: 1, send: () => rig.bare(id()) },
    'insert by hand, then the effect': { messages: 1, send: () => rig.byHand(id()) },
    '`process`, new': {
      messages: 1,
      send: () => {
        const one = id()
        return inbox.process(one, (tx) => rig.effect(tx, [one]))
      },
    },
    '`process`, a duplicate': { messages: 1, send: () => inbox.process(known, () => undefined) },
    [`\`processBatch\` of ${options.batch}`]: {
      messages: options.batch,
      send: () => {
        const ids = Array.from({ length: options.batch }, id)
        return inbox.processBatch(ids, (tx, fresh) => rig.effect(tx, fresh))
      },
    },
  }
  for (const { send, messages } of Object.values(contestants)) await measure(send, messages)
  const samples = await interleave(Object.keys(contestants), options.rounds, (name) => {
    const { send, messages } = contestants[name] ?? { send: async () => {}, messages: 1 }
    return measure(send, messages)
  })
  const [floor = []] = samples.values()
  return table(
    ['', 'messages a second', '× the effect alone', 'median ms a call'],
    [...samples].map(([name, own]) => [
      name,
      withRange(own.map(({ perSecond }) => perSecond)),
      number(
        pairedRatio(
          own.map(({ perSecond }) => perSecond),
          floor.map(({ perSecond }) => perSecond),
        ),
        2,
      ),
      number(median(own.map(({ p50Ms }) => p50Ms)), 2),
    ]),
  )
}

/**
 * @param {() => Promise<unknown>} send
 * @param {number} messages How many one call is about.
 */
async function measure(send, messages) {
  const from = performance.now()
  /** @type {number[]} */
  const took = []
  const caller = async () => {
    for (let now = performance.now(); now < from + options.ms; ) {
      await send()
      const then = performance.now()
      took.push(then - now)
      now = then
      // SQLite answers at once; timers are to have their turn.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await Promise.all(Array.from({ length: messages === 1 ? options.inFlight : 4 }, caller))
  return {
    perSecond: (took.length * messages * 1000) / (performance.now() - from),
    p50Ms: median(took),
  }
}

/** @returns {Promise<Rig>} */
async function postgresRig() {
  const server = await startPostgres({ durable: true })
  const db = new pg.Pool({ connectionString: server.url, max: CONNECTIONS })
  await db.query('CREATE TABLE effects (id text NOT NULL); CREATE TABLE seen (id text PRIMARY KEY)')
  /** @param {pg.PoolClient} tx @param {readonly string[]} ids */
  const effect = (tx, ids) => tx.query('INSERT INTO effects SELECT unnest($1::text[])', [ids])
  /** @param {(tx: pg.PoolClient) => Promise<unknown>} work */
  const transact = async (work) => {
    const tx = await db.connect()
    try {
      await tx.query('BEGIN')
      await work(tx)
      await tx.query('COMMIT')
    } finally {
      tx.release()
    }
  }
  return {
    about: `PostgreSQL ${server.version} with fsync`,
    db,
    effect,
    bare: (id) => transact((tx) => effect(tx, [id])),
    byHand: (id) =>
      transact(async (tx) => {
        const { rowCount } = await tx.query('INSERT INTO seen VALUES ($1) ON CONFLICT DO NOTHING', [id])
        if (rowCount === 1) await effect(tx, [id])
      }),
    async close() {
      await db.end()
      await server.stop()
    },
  }
}

/** @returns {Promise<Rig>} */
async function mariadbRig() {
  const server = await startMariadb({ durable: true })
  const { url, drop } = await server.createDatabase()
  const db = mysql.createPool({ uri: url, connectionLimit: CONNECTIONS })
  await db.query('CREATE TABLE effects (id varchar(100) NOT NULL)')
  await db.query('CREATE TABLE seen (id varchar(100) PRIMARY KEY)')
  /** @param {mysql.PoolConnection} tx @param {readonly string[]} ids */
  const effect = (tx, ids) => tx.query('INSERT INTO effects VALUES ?', [ids.map((id) => [id])])
  /** @param {(tx: mysql.PoolConnection) => Promise<unknown>} work */
  const transact = async (work) => {
    const tx = await db.getConnection()
    try {
      await tx.beginTransaction()
      await work(tx)
      await tx.commit()
    } finally {
      tx.release()
    }
  }
  return {
    about: `MariaDB ${server.version} with fsync`,
    db,
    effect,
    bare: (id) => transact((tx) => effect(tx, [id])),
    byHand: (id) =>
      transact(async (tx) => {
        const [{ affectedRows }] = /** @type {[mysql.ResultSetHeader, unknown]} */ (
          await tx.query('INSERT IGNORE INTO seen VALUES (?)', [id])
        )
        if (affectedRows === 1) await effect(tx, [id])
      }),
    async close() {
      await db.end()
      await drop()
      await server.stop()
    },
  }
}

/** @param {string} folder @returns {Promise<Rig>} */
async function sqliteRig(folder) {
  const db = new (databaseClass())(join(folder, 'inbox.sqlite'))
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  db.exec('CREATE TABLE effects (id TEXT); CREATE TABLE seen (id TEXT PRIMARY KEY)')
  const insert = db.prepare('INSERT INTO effects VALUES (?)')
  const see = db.prepare('INSERT INTO seen VALUES (?) ON CONFLICT DO NOTHING')
  /** @param {unknown} _tx @param {readonly string[]} ids */
  const effect = (_tx, ids) => {
    for (const id of ids) insert.run(id)
  }
  /** @param {() => void} work */
  const transact = async (work) => {
    db.exec('BEGIN IMMEDIATE')
    work()
    db.exec('COMMIT')
  }
  return {
    about: 'SQLite in a file, synchronous = FULL',
    db,
    effect,
    bare: (id) => transact(() => effect(db, [id])),
    byHand: (id) =>
      transact(() => {
        if (see.run(id).changes === 1) effect(db, [id])
      }),
    async close() {
      db.close()
    },
  }
}
