import type { EtcdJson } from './etcd-fetch.ts'

/** A condition of a transaction. */
export type EtcdCompare = EtcdJson
/** A step of a transaction. */
export type EtcdOp = EtcdJson

/** Where a key is, or with a `/` at the end: everything below it. */
export function place(key: string): EtcdJson {
  return key.endsWith('/') ? { key: bytes(key), range_end: bytes(endOf(key)) } : { key: bytes(key) }
}

/** Reads a key, or everything below a `/`, in the order in which they were created. */
export function get(key: string): EtcdOp {
  return { request_range: { ...place(key), sort_target: 'CREATE', sort_order: 'ASCEND' } }
}

/** Writes a key, which goes with the lease and leaves the one it had. Answers what was there. */
export function put(key: string, value: string, lease: string): EtcdOp {
  return { request_put: { key: bytes(key), value: bytes(value), lease, prev_kv: true } }
}

/** Deletes a key, or everything below a `/`. */
export function remove(key: string): EtcdOp {
  return { request_delete_range: { ...place(key), prev_kv: true } }
}

/** There is no such key, or nothing below the `/`. */
export function isAbsent(key: string): EtcdCompare {
  return createdIs(key, 'EQUAL', 0)
}

/** Compares the revision that created a key; below a `/` all keys must pass. What is absent counts as created by 0. */
export function createdIs(key: string, result: 'EQUAL' | 'GREATER', revision: number): EtcdCompare {
  return { ...place(key), target: 'CREATE', result, create_revision: String(revision) }
}

/** The key is as that revision left it. */
export function modifiedIs(key: string, revision: number): EtcdCompare {
  return { ...place(key), target: 'MOD', result: 'EQUAL', mod_revision: String(revision) }
}

/** Nothing has been put there, or below the `/`, since `revision`. Deletions do not count. */
export function putsAreBefore(key: string, revision: number): EtcdCompare {
  return { ...place(key), target: 'MOD', result: 'LESS', mod_revision: String(revision + 1) }
}

/** Text as the gateway wants bytes. */
export function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}

/** Bytes of the gateway as text. */
export function textOf(base64: unknown): string {
  return typeof base64 === 'string' ? Buffer.from(base64, 'base64').toString('utf8') : ''
}

/** What comes after everything that begins with `prefix`, which ends in `/`. */
function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}0`
}
