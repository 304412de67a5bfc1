/** What the wrappers of brokers refuse when they are made, and not when the first message comes. */
import { expect, it } from 'vitest'
import {
  bullmqProcessor,
  createInbox,
  kafkaBatches,
  kafkaMessages,
  natsConsume,
  rabbitConsume,
  sqsHandler,
} from '../../src/inbox/index.ts'

it('refuses an option that means nothing, which would leave messages to their usual ids', async () => {
  const inbox = createInbox({ db: ':memory:', consumer: 'billing' })
  const work = () => {}
  const wrong = { idheader: 'event-id' } as never
  const wraps: readonly [string, () => unknown][] = [
    ['bullmqProcessor', () => bullmqProcessor(inbox, work, wrong)],
    ['kafkaMessages', () => kafkaMessages(inbox, work, wrong)],
    ['kafkaBatches', () => kafkaBatches(inbox, work, wrong)],
    ['natsConsume', () => natsConsume({} as never, inbox, work, wrong)],
    ['rabbitConsume', () => rabbitConsume({} as never, 'orders', inbox, work, wrong)],
    ['sqsHandler', () => sqsHandler(inbox, work, wrong)],
  ]
  for (const [name, wrap] of wraps) {
    const message = new RegExp(`the options of ${name} has an unknown field "idheader"; known are id, onDead`)
    await expect(async () => wrap(), name).rejects.toThrow(message)
  }
  await inbox.close()
})
