import assert from 'node:assert/strict'
import { field, type RawResponse } from './http-connection.ts'

/** Asserts that an answer is a first one: not marked as a replay, with its key and its expiry. */
export function assertExecuted(response: RawResponse, status: number): void {
  assert.equal(response.status, status, response.body.toString('latin1').slice(0, 300))
  assert.equal(field(response, 'idempotent-replayed'), undefined, 'the first answer is marked as a replay')
}

/** Asserts that `again` is the stored answer `first`, byte for byte, marked and not to be cached. */
export function assertReplay(first: RawResponse, again: RawResponse): void {
  const seen = `${again.status} ${again.body.toString('latin1').slice(0, 300)}`
  assert.equal(again.status, first.status, `expected the stored answer, got ${seen}`)
  assert.ok(again.body.equals(first.body), `the bytes of the replay differ: ${seen}`)
  assert.equal(field(again, 'idempotent-replayed'), 'true', `the replay is not marked: ${seen}`)
  assert.match(field(again, 'cache-control') ?? '', /no-store/, 'the replay may be cached')
  assert.equal(field(again, 'set-cookie'), undefined, 'the replay sets a cookie')
  for (const name of ['content-type', 'content-encoding', 'content-disposition', 'location', 'link', 'etag'])
    assert.equal(field(again, name), field(first, name), `${name} of the replay differs`)
}
