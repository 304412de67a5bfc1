import type { TrialKind } from '../harness/trial-kind.ts'
import { ORDERS, orderId, SHELVES, shelfId, UNITS } from './guard-lane.ts'
import { insisting, lookAtRows, word } from './look-at-rows.ts'
import type { WorkTrials } from './work-trials.ts'

/** What the driver does for guards: orders and shelves beforehand, and what has become of them. */
export const GUARDS: Pick<TrialKind<WorkTrials>, 'prepare' | 'look'> = {
  async prepare({ main }, { trial }) {
    for (let nth = 0; nth < ORDERS; nth++)
      await main.query("INSERT INTO work_orders (id, trial, status) VALUES (?, ?, 'new')", [
        orderId(trial, nth),
        trial,
      ])
    for (let nth = 0; nth < SHELVES; nth++)
      await main.query('INSERT INTO work_stock (id, trial, units, version) VALUES (?, ?, ?, 0)', [
        shelfId(trial, nth),
        trial,
        UNITS,
      ])
    return []
  },
  async look({ stage: { main }, plan: { trial }, log }) {
    const rows = (columns: string, table: string) =>
      insisting(() => main.query(`SELECT ${columns} FROM ${table} WHERE trial = ?`, [trial]))
    for (const row of await rows('id, status, ending', 'work_orders'))
      log.note({
        k: 'order',
        item: word(row, 'id'),
        status: word(row, 'status'),
        ending: word(row, 'ending'),
      })
    for (const row of await rows('id, units, version', 'work_stock')) {
      const [left, version] = [Number(row['units']), Number(row['version'])]
      log.note({ k: 'stock', item: word(row, 'id'), left, version })
    }
    for (const row of await rows('id, call_id', 'work_payments'))
      log.note({ k: 'payment', item: word(row, 'id'), call: word(row, 'call_id') })
    await lookAtRows(main, trial, log)
  },
}
