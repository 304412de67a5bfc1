import { randomUUID } from 'node:crypto'

/**
 * What is written by hand on PostgreSQL: the same round trips on a table with an index of what is pending, and nothing else:
 * no history, no policies, no fence, no function that keeps the plan.
 *
 * @param {import('pg').Pool} pool
 */
export async function handWritten(pool) {
  await pool.query(`CREATE TABLE by_hand (id uuid PRIMARY KEY, task_id text, user_id text NOT NULL, action_type text NOT NULL,
    state text NOT NULL, run_at bigint NOT NULL, attempt integer NOT NULL, owner text, lease_until bigint, input text,
    result text, UNIQUE (task_id, user_id, action_type)) WITH (fillfactor = 70)`)
  await pool.query(`CREATE INDEX ON by_hand (run_at, id) WHERE state = 'pending'`)
  return {
    /** @param {number} count */
    async create(count) {
      const ids = Array.from({ length: count }, () => randomUUID())
      await pool.query({
        name: 'create',
        text: `INSERT INTO by_hand SELECT id, 'task ' || id, 'u', 'work', 'pending', 0, 0, NULL, NULL, '{"n":1}', NULL
          FROM unnest($1::uuid[]) AS j(id) ON CONFLICT (task_id, user_id, action_type) DO NOTHING`,
        values: [ids],
      })
    },
    /** @returns {Promise<number>} */
    async pending() {
      const { rows } = await pool.query(`SELECT count(*) AS count FROM by_hand WHERE state = 'pending'`)
      return Number(rows[0].count)
    },
    /** Claims and completes; answers how many. @param {number} most */
    async work(most) {
      const { rows } = await pool.query({
        name: `claim`,
        text: `UPDATE by_hand AS o SET state = 'running', attempt = o.attempt + 1, owner = 'me', lease_until = $2::bigint
          FROM (SELECT id FROM by_hand WHERE state = 'pending' AND run_at <= $2::bigint ORDER BY run_at, id LIMIT $1
          FOR UPDATE SKIP LOCKED) AS p WHERE o.id = p.id RETURNING o.id, o.attempt, o.input`,
        values: [most, Date.now()],
      })
      if (rows.length === 0) return 0
      const { rowCount } = await pool.query({
        name: 'complete',
        text: `UPDATE by_hand AS o SET state = 'done', result = 'null' FROM unnest($1::uuid[], $2::integer[]) AS j(id, attempt)
          WHERE o.id = j.id AND o.attempt = j.attempt AND o.owner = 'me' AND o.state = 'running'`,
        values: [rows.map(({ id }) => id), rows.map(({ attempt }) => attempt)],
      })
      return rowCount ?? 0
    },
  }
}
