import { describe, expect, it } from 'vitest'
import { systemTimers } from '../../core/system.ts'
import type { RedisConnection } from '../../drivers/redis/index.ts'
import type { PlaceGrant } from '../lock-backend.ts'
import { wakeChannel } from './wake-channel.ts'

describe('what is told over the channel of a process', () => {
  const heard = (payload: string) => {
    const messages: ((payload: string) => void)[] = []
    const connection: Pick<RedisConnection, 'subscribe'> = {
      subscribe(_, { message }) {
        messages.push(message)
        return () => {}
      },
    }
    const records: string[] = []
    const wakes: (PlaceGrant | undefined)[] = []
    const channel = wakeChannel(connection as RedisConnection, 'c', systemTimers, (_, record) =>
      records.push(record),
    )
    channel.watch('one', (granted) => wakes.push(granted))
    for (const message of messages) message(payload)
    channel.close()
    return { wakes, records }
  }

  it('is a grant, with its mark, and the record', () => {
    expect(heard('one [3,"1700000000000001","a b\\nc"]\nL1[]')).toEqual({
      wakes: [{ round: 3, fence: 1_700_000_000_000_001, mark: 'a b\nc' }],
      records: ['L1[]'],
    })
    expect(heard('one [3,"5",false]')).toEqual({ wakes: [{ round: 3, fence: 5 }], records: [] })
  })

  it('is a turn where no grant can be read, as from another version, and nothing that throws', () => {
    const turn = { wakes: [undefined], records: [] }
    for (const rest of [
      '',
      ' ',
      ' L1["5",{},{},false,{}]',
      ' {"round":3}',
      ' [3]',
      ' ["3","5",false]',
      ' null',
    ])
      expect(heard(`one${rest}`), rest).toEqual(turn)
    expect(heard('another [3,"5",false]')).toEqual({ wakes: [], records: [] })
  })
})
