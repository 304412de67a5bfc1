import pg from 'pg'
import { expect, it } from 'vitest'
import { describeWith } from '../../../../../test-servers/index.mjs'
import { plainArray, textArray } from './pg-array.ts'

await describeWith('postgres', 'arrays as PostgreSQL reads them', ({ postgres }) => {
  it('hold every text, and nothing, as it was', async () => {
    const texts = ['', 'plain', 'a,b', '{}', '"', '\\', '\\"', 'NULL', 'null', ' a ', "'", '\n\t', '💳', null]
    const client = new pg.Client({ connectionString: postgres.url })
    await client.connect()
    try {
      const { rows } = await client.query(
        'SELECT to_json($1::text[]) AS texts, to_json($2::bigint[]) AS numbers',
        [textArray(texts), plainArray([1, null, -7, 9_007_199_254_740_991])],
      )
      expect(rows[0]).toEqual({ texts, numbers: [1, null, -7, 9_007_199_254_740_991] })
      const empty = await client.query('SELECT cardinality($1::text[]) AS count', [textArray([])])
      expect(empty.rows).toEqual([{ count: 0 }])
    } finally {
      await client.end()
    }
  })
})
