/**
 * What a contestant of the benchmarks of locks offers: one way to hold a key alone.
 *
 * @typedef {object} LockContestant
 * @property {string} name
 * @property {ServerName} server What its locks live on.
 * @property {(url: string, ttlMs: number) => Promise<OpenLocks>} open Connects; nothing of it is measured.
 * @property {readonly Kind[]} [kinds] What it is measured at. Default: everything.
 *
 * @typedef {'redis' | 'postgres' | 'mariadb' | 'sqlite' | 'etcd'} ServerName
 * @typedef {'pairs' | 'waiters' | 'leases'} Kind
 *
 * @typedef {object} OpenLocks
 * @property {(key: string) => Promise<HeldKey>} acquire Waits until the key is held.
 * @property {(key: string) => Promise<HeldKey>} [keep] As `acquire`, and holds it until it is released. Default: `acquire`.
 * @property {() => Promise<number>} [trips] How many round trips this process has made. Default: the server is asked.
 * @property {Mishaps} mishaps
 * @property {() => Promise<void>} close
 *
 * @typedef {object} HeldKey
 * @property {number} [fence]
 * @property {() => Promise<unknown>} release
 *
 * @typedef {{ lost: number, failed: number }} Mishaps Leases that were lost, and renewals that failed.
 */

/** For how long a lock is held at most without renewal, where nothing else is measured, in ms. */
export const TTL_MS = 30_000

/** The longest wait of every contestant that can be told one, in ms. */
export const WAIT_MS = 60_000
