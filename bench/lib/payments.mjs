/** What the benchmarked services do: one small thing in memory, so that what is around it shows. */
export function createPayments() {
  let charges = 0
  return {
    /** @param {{ order?: unknown, amount?: unknown, currency?: unknown }} payment */
    charge(payment) {
      charges += 1
      const { order, amount, currency } = payment
      return { id: `pay_${charges}`, status: 'succeeded', order, amount, currency, captured: true }
    },
    /** How many charges were made. */
    count: () => charges,
  }
}

/** The body that every benchmark posts. */
export const PAYMENT = JSON.stringify({
  order: 'order-42',
  amount: 4200,
  currency: 'EUR',
  note: 'x'.repeat(120),
})

/** Answers the parent process how many charges were made, and ends when it is told to. @param {() => number} count */
export function answerParent(count) {
  process.on('message', (question) => {
    if (question === 'charges') process.send?.(count())
  })
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0))
  process.on('disconnect', () => process.exit(0))
}
