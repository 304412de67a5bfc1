import { expect, it } from 'vitest'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { asks, claimed, LONG_MS, outcomeOf, someId } from '../../src/testing/case-kit.ts'
import { closing, temporaryFile } from './sqlite-kit.ts'

for (const forEver of [Number.MAX_SAFE_INTEGER, 1e17, Number.POSITIVE_INFINITY]) {
  it(`what is kept for ${forEver} ms can be read, and so can what is read with it`, async () => {
    const path = temporaryFile()
    const store = closing(sqliteStore(path))
    await store.migrate()
    for (const onCrash of ['hold', 'rerun'] as const) {
      const id = someId()
      const claim = await claimed(store, id, { retentionMs: forEver, onCrash })
      expect(await store.get(id)).toMatchObject({ state: 'running' })
      expect(await store.renew(claim, LONG_MS)).toBe(true)
      expect(await store.complete(claim, outcomeOf('receipt'), forEver)).toBe(true)
      const others = Array.from({ length: 3 }, () => store.claim(asks(someId())))
      const again = await Promise.all([store.claim(asks(id)), ...others])
      expect(again.map(({ state }) => state)).toEqual(['done', 'claimed', 'claimed', 'claimed'])
    }
    expect((await store.list({})).records).toHaveLength(8)
  })
}
