/**
 * What is written by hand on PostgreSQL: rows are claimed with `SKIP LOCKED` and deleted in the same statement, which keeps no order
 * of keys, has no lease, and loses the batch that a crash interrupts.
 *
 * @param {import('pg').Pool} pool
 * @param {number} events
 */
export async function handWritten(pool, events) {
  await pool.query(
    'CREATE TABLE by_hand (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text NOT NULL)',
  )
  return {
    /** Answers events a second. @param {number} batch */
    async drain(batch) {
      await pool.query(
        `INSERT INTO by_hand (payload) SELECT '{"type":"placed","order":"o-1","total":4200,"at":"2026"}' FROM generate_series(1, $1::integer)`,
        [events],
      )
      const started = performance.now()
      for (let count = 0; count < events; ) {
        const { rows } = await pool.query({
          name: 'drain',
          text: `DELETE FROM by_hand WHERE seq IN (
            SELECT seq FROM by_hand ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING seq, payload`,
          values: [batch],
        })
        count += rows.length
      }
      return (events * 1000) / (performance.now() - started)
    },
  }
}
