/** What only MySQL has to prove: forgetting a few tasks reads and locks those alone. */
import { createPool } from 'mysql2/promise'
import { expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { createTasks } from '../../src/tasks/index.ts'
import { taskOf } from './tasks-kit.ts'

await describeWith('mariadb', 'tasks on MariaDB', (servers) => {
  it('forgets the oldest by the index, and waits for nobody who holds a later one', async () => {
    const database = await servers.mariadb.createDatabase()
    const pool = createPool({ uri: database.url, connectionLimit: 4 })
    const holder = await pool.getConnection()
    const tasks = createTasks({ db: pool, retention: { doneMs: 0 } })
    try {
      await tasks.migrate()
      const created = await tasks.create(Array.from({ length: 2000 }, () => taskOf()))
      await pool.query(
        "UPDATE onceward_tasks SET state = 'done', finished_at = created_at - 5000 + RAND() * 5000",
      )
      await pool.query('UPDATE onceward_tasks SET finished_at = created_at WHERE id = ?', [
        created[7]?.task.id,
      ])
      await holder.beginTransaction()
      await holder.query('SELECT id FROM onceward_tasks WHERE id = ? FOR UPDATE', [created[7]?.task.id])
      expect(await tasks.purge(100)).toBe(100)
      await holder.rollback()
      expect(await tasks.purge(10_000)).toBe(1900)
    } finally {
      holder.release()
      await tasks.close()
      await pool.end()
      await database.drop()
    }
  })
})
