import { expect, it } from 'vitest'
import { decodeReply, type ReplyForm } from './reply-codec.ts'

const decoded = (text: string, form: Partial<ReplyForm> = {}) =>
  decodeReply(Buffer.from(`d${text}`), 1, { bulk: 'text', integers: 'number', ...form })

it('whole numbers are read exactly, whatever their size and sign', () => {
  const texts = ['0', '7', '10', '999999999', '1000000000', '9007199254740991', '-1', '-999999999']
  for (const text of texts) expect(decoded(`:${text}\r\n`)).toBe(Number(text))
  expect(decoded(':9007199254740993\r\n')).toBe(9007199254740993n)
  expect(decoded(':-9223372036854775808\r\n')).toBe(-9223372036854775808n)
  expect(decoded(':12\r\n', { integers: 'text' })).toBe('12')
})

it('what is no reply is not read as one', () => {
  for (const text of [
    ':',
    ':\r\n',
    ':x\r\n',
    ':1x2\r\n',
    ':1',
    ':1234',
    ':1-\r\n',
    ':+1\r\n',
    '$5\r\nab\r\n',
    '+',
    'q\r\n',
    '',
  ])
    expect(() => decoded(text), text).toThrow(RangeError)
})
