import { Idempotency } from '@node-idempotency/core'
import expressIdempotency from 'express-idempotency'
import { databaseClass } from '../lib/sqlite-class.mjs'

const DAY_MS = 86_400_000

/**
 * A table of texts by key, in a file that several processes share: what both peers below are given to store in. Neither
 * comes with a store on SQLite.
 *
 * @param {string} file
 * @param {'full' | 'normal'} synchronous
 */
function createTexts(file, synchronous) {
  const database = new (databaseClass())(file)
  database.exec('PRAGMA busy_timeout = 5000')
  database.exec('PRAGMA journal_mode = WAL')
  database.exec(`PRAGMA synchronous = ${synchronous}`)
  database.exec('CREATE TABLE IF NOT EXISTS texts (key TEXT PRIMARY KEY, text TEXT NOT NULL)')
  const add = database.prepare('INSERT INTO texts (key, text) VALUES (?, ?) ON CONFLICT DO NOTHING')
  const put = database.prepare(
    'INSERT INTO texts (key, text) VALUES (?, ?) ON CONFLICT DO UPDATE SET text = excluded.text',
  )
  const find = database.prepare('SELECT text FROM texts WHERE key = ?')
  const remove = database.prepare('DELETE FROM texts WHERE key = ?')
  return {
    /** Kept: statements of a database that nobody refers to any more are finalized with it. */
    database,
    /** Whether the key was new. @param {string} key @param {string} text @returns {boolean} */
    add: (key, text) => add.run(key, text).changes === 1,
    /** @param {string} key @param {string} text */
    put: (key, text) => void put.run(key, text),
    /** @param {string} key @returns {string | undefined} */
    find: (key) => /** @type {any} */ (find.get(key))?.text,
    /** @param {string} key */
    remove: (key) => void remove.run(key),
  }
}

/**
 * The core of node-idempotency behind a middleware as small as it can be. It stores before it answers, which the plugins
 * of its authors do not.
 *
 * @param {string} file
 * @param {'full' | 'normal'} synchronous
 * @returns {import('express').RequestHandler}
 */
export function nodeIdempotency(file, synchronous) {
  const texts = createTexts(file, synchronous)
  const idempotency = new Idempotency(
    {
      setIfNotExists: async (key, text) => texts.add(key, text),
      set: async (key, text) => texts.put(key, text),
      get: async (key) => texts.find(key),
    },
    { cacheTTLMS: DAY_MS },
  )
  return async (req, res, next) => {
    const request = { headers: req.headers, path: req.path, method: req.method, body: req.body }
    let stored
    try {
      stored = await idempotency.onRequest(request)
    } catch (error) {
      return void res.status(409).json({ title: String(error) })
    }
    if (stored !== undefined) {
      res.set('Idempotent-Replayed', 'true')
      return void res.status(Number(stored.additional?.['status'])).type('json').send(stored.body)
    }
    const send = res.send.bind(res)
    res.send = (body) => {
      // Express calls it once with a value and then with its text.
      if (typeof body !== 'string') return send(body)
      idempotency
        .onResponse(request, { body: /** @type {any} */ (body), additional: { status: res.statusCode } })
        .then(() => send(body), next)
      return res
    }
    next()
  }
}

/**
 * express-idempotency as its README has it, with a data adapter on SQLite. Its handler has to ask `isHit`.
 *
 * @param {string} file
 * @param {'full' | 'normal'} synchronous
 */
export function expressIdempotencyOn(file, synchronous) {
  const texts = createTexts(file, synchronous)
  const middleware = expressIdempotency.idempotency({
    dataAdapter: {
      findByIdempotencyKey: async (key) => JSON.parse(texts.find(key) ?? 'null'),
      create: async (resource) => {
        if (!texts.add(resource.idempotencyKey, JSON.stringify(resource))) throw new Error('in progress')
      },
      update: async (resource) => {
        // It has no marker of its own for replays; this one is among the headers that it sends again.
        const headers = { ...resource.response?.headers, 'idempotent-replayed': 'true' }
        const response = { ...resource.response, headers }
        texts.put(resource.idempotencyKey, JSON.stringify({ ...resource, response }))
      },
      delete: async (key) => texts.remove(key),
    },
  })
  return { middleware, isHit: (/** @type {import('express').Request} */ req) => req.get('x-hit') === 'true' }
}
