// Run it twice: the second run charges nothing and gets the first one's receipt.
import { createOnce } from 'onceward'
import { sqliteStore } from 'onceward/sqlite'

const store = sqliteStore(process.argv[2] ?? 'payments.sqlite')
await store.migrate()
const once = createOnce({ store, scope: 'payments' })

const order = { id: '42', amount: 4200, currency: 'EUR' }
const receipt = await once.run({ key: ['charge', order.id], input: order }, async () => {
  console.log('charging…')
  return { order: order.id, chargedAt: new Date() }
})
console.log(`order ${receipt.order} was charged at ${receipt.chargedAt.toISOString()}`)

await once.close()
await store.close()
