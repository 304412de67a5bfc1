/**
 * What a contestant of the store benchmarks offers: one way to do work once for a key.
 *
 * @typedef {object} Contestant
 * @property {string} name
 * @property {(url: string) => Promise<OpenContestant>} open Connects; nothing of it is measured.
 * @property {readonly import('./measure.mjs').Kind[]} [kinds] What it is measured at. Default: everything.
 * @property {number} [knownKeys] How many keys its replays go round. Default 2,000.
 *
 * @typedef {object} OpenContestant
 * @property {(key: string, work: () => unknown) => Promise<unknown>} run
 *   Runs `work` unless the key was run before, and resolves to its outcome. Rejects where it turns a duplicate away.
 * @property {() => Promise<void>} close
 */

/** What the work of every contestant answers. */
export const RECEIPT = { id: 'ch_1', amount: 4200, note: 'x'.repeat(80) }

/** @returns {unknown} */
export const work = () => RECEIPT

export const LEASE_MS = 30_000
export const RETENTION_MS = 86_400_000
