/** Webhooks, judged by the packages of their senders. */
import { createHmac } from 'node:crypto'
import { sign as githubSign } from '@octokit/webhooks-methods'
import { Webhook } from 'standardwebhooks'
import Stripe from 'stripe'
import { afterEach, describe, expect, it } from 'vitest'
import {
  createInbox,
  githubWebhooks,
  type Inbox,
  standardWebhooks,
  stripeWebhooks,
  type WebhookRequest,
  webhookReceiver,
} from '../../src/inbox/index.ts'

const NOW_MS = Date.parse('2026-11-21T12:00:00Z')
const clock = { now: () => NOW_MS, monotonic: () => 0 }
const seconds = (ageMs = 0) => Math.floor((NOW_MS - ageMs) / 1000)
const BODY = '{"id":"evt_1","type":"invoice.paid","note":"Zürich €"}'
const EVENT = { id: 'evt_1', type: 'invoice.paid', payload: JSON.parse(BODY) as unknown }
const SECRET = `whsec_${Buffer.from('a secret of 24 bytes....').toString('base64')}`
const OTHER = `whsec_${Buffer.from('another one of 24 bytes!').toString('base64')}`

const refusal = (message: RegExp) =>
  expect.objectContaining({
    code: 'SIGNATURE_INVALID',
    status: 401,
    effect: 'none',
    retryable: false,
    message: expect.stringMatching(message),
  })
const failureOf = (act: () => unknown): unknown => {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('standardWebhooks', () => {
  const signed = ({ secret = SECRET, ageMs = 0, body = BODY, family = 'webhook', id = 'msg_1' } = {}) => {
    const at = new Date(seconds(ageMs) * 1000)
    return {
      headers: {
        [`${family}-id`]: id,
        [`${family}-timestamp`]: String(seconds(ageMs)),
        [`${family}-signature`]: new Webhook(secret).sign(id, at, body),
      },
      body,
    }
  }
  const webhooks = standardWebhooks({ secret: SECRET, clock })

  it.each(['webhook', 'svix'])('takes what its package has signed, with headers of %s', (family) => {
    expect(webhooks.verify(signed({ family }))).toEqual({ ...EVENT, id: 'msg_1' })
  })

  it('takes headers of fetch, headers in any case, and a body of bytes', () => {
    const { headers, body } = signed()
    expect(webhooks.verify({ headers: new Headers(headers), body })).toMatchObject({ id: 'msg_1' })
    const upper = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]]),
    )
    expect(webhooks.verify({ headers: upper, body: Buffer.from(body) })).toMatchObject({ id: 'msg_1' })
    const within = Buffer.from(`..${body}`)
    expect(
      webhooks.verify({
        headers,
        body: new Uint8Array(within.buffer, within.byteOffset + 2, within.length - 2),
      }),
    ).toMatchObject({
      id: 'msg_1',
    })
  })

  it('takes either secret while they are rotated, and one right signature among others', () => {
    const rotating = standardWebhooks({ secret: [OTHER, SECRET], clock })
    expect(rotating.verify(signed())).toMatchObject({ id: 'msg_1' })
    expect(rotating.verify(signed({ secret: OTHER }))).toMatchObject({ id: 'msg_1' })
    const both = signed()
    both.headers['webhook-signature'] = `v1a,xyz v2,abc v1,AAAA ${both.headers['webhook-signature']}`
    expect(webhooks.verify(both)).toMatchObject({ id: 'msg_1' })
  })

  it.each([
    ['another secret', signed({ secret: OTHER }), /no signature in webhook-signature matches/],
    ['another body', { ...signed(), body: BODY.replace('1', '2') }, /no signature/],
    ['another id', { ...signed(), headers: { ...signed().headers, 'webhook-id': 'msg_2' } }, /no signature/],
    [
      'another time',
      { ...signed(), headers: { ...signed().headers, 'webhook-timestamp': String(seconds(1000)) } },
      /no signature/,
    ],
    [
      'a signature of another version',
      {
        ...signed(),
        headers: {
          ...signed().headers,
          'webhook-signature': signed().headers['webhook-signature']?.replace('v1,', 'v2,'),
        },
      },
      /no signature/,
    ],
    [
      'an empty signature',
      { ...signed(), headers: { ...signed().headers, 'webhook-signature': 'v1,' } },
      /no signature/,
    ],
    ['a request that is too old', signed({ ageMs: 301_000 }), /too old: signed 301 s ago, the most is 300 s/],
    ['one from the future', signed({ ageMs: -301_000 }), /in the future/],
    [
      'a time that is none',
      { ...signed(), headers: { ...signed().headers, 'webhook-timestamp': '1e9' } },
      /not a number of seconds/,
    ],
    ['no headers', { headers: {}, body: BODY }, /webhook-id is missing/],
    [
      'a header twice',
      { ...signed(), headers: { ...signed().headers, 'webhook-id': ['a', 'b'] } },
      /more than once/,
    ],
  ] as [string, WebhookRequest, RegExp][])('refuses %s, and says so', (_, request, message) => {
    const error = failureOf(() => webhooks.verify(request))
    expect(error).toEqual(refusal(message))
    expect(String(error)).not.toContain(SECRET.slice(6))
  })

  it('names the parser that has been at the body, and a body that is no JSON', () => {
    const parsed = { ...signed(), body: EVENT as never }
    expect(() => webhooks.verify(parsed)).toThrow(TypeError)
    expect(() => webhooks.verify(parsed)).toThrow(/raw/)
    expect(failureOf(() => webhooks.verify(signed({ body: 'a=b' })))).toMatchObject({
      code: 'REQUEST_INVALID',
    })
  })

  it.each([
    ['an empty text', ''],
    ['nothing', undefined],
    ['no secrets', []],
    ['one of them empty', [SECRET, '']],
    ['a text that is not base64', 'whsec_!!'],
    ['white space', ` ${SECRET}`],
    ['what a template makes of nothing', `${undefined}`],
  ])('refuses as a secret %s, without telling it', (_, secret) => {
    const error = failureOf(() => standardWebhooks({ secret: secret as never, clock }))
    expect(error).toBeInstanceOf(TypeError)
    expect(String(error)).toMatch(/standardWebhooks/)
    expect(String(error)).not.toContain('YSBz')
  })

  it('takes bytes for a secret, from 16 on', () => {
    const key = Buffer.from(SECRET.slice('whsec_'.length), 'base64')
    expect(standardWebhooks({ secret: key, clock }).verify(signed())).toMatchObject({ id: 'msg_1' })
    expect(() => standardWebhooks({ secret: key.subarray(0, 16), clock })).not.toThrow()
    expect(() => standardWebhooks({ secret: key.subarray(0, 15), clock })).toThrow(/at least 16 bytes/)
  })
})

it.each([
  ['standardWebhooks', standardWebhooks, `whsec_${Buffer.from('0123456789abcde').toString('base64')}`],
  ['stripeWebhooks', stripeWebhooks, 'whsec_012345678'],
  ['githubWebhooks', githubWebhooks, 's'],
  ['githubWebhooks in a list', githubWebhooks, [SECRET, 'correct horses!']],
] as const)('%s refuses a secret that can be guessed, without telling it', (name, make, secret) => {
  const error = failureOf(() => make({ secret }))
  expect(error).toBeInstanceOf(TypeError)
  expect(String(error)).toMatch(new RegExp(`${name.split(' ')[0]}.*at least 16 bytes.*sender`))
  for (const one of [secret].flat()) if (one !== 's') expect(String(error)).not.toContain(one)
})

describe('stripeWebhooks', () => {
  const header = (secret: string, ageMs = 0, payload = BODY) =>
    Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp: seconds(ageMs) })
  const request = (signature: string, body = BODY) => ({ headers: { 'stripe-signature': signature }, body })
  const webhooks = stripeWebhooks({ secret: SECRET, clock })

  it('takes what its package has signed, and what is signed by an old and a new secret', () => {
    expect(webhooks.verify(request(header(SECRET)))).toEqual(EVENT)
    const both = `${header(OTHER)},${header(SECRET).split(',')[1]},v0=6ffbb59b`
    expect(webhooks.verify(request(both))).toEqual(EVENT)
    expect(stripeWebhooks({ secret: [OTHER, SECRET], clock }).verify(request(header(SECRET)))).toEqual(EVENT)
  })

  it.each([
    ['another secret', request(header(OTHER)), /no signature in stripe-signature/],
    ['another body', request(header(SECRET), BODY.replace('1', '2')), /no signature/],
    ['only another scheme', request(header(SECRET).replace('v1=', 'v0=')), /no signature/],
    [
      'a time that was changed',
      request(header(SECRET).replace(/t=\d+/, `t=${seconds(1000)}`)),
      /no signature/,
    ],
    ['two times', request(`${header(SECRET)},t=${seconds()}`), /not one time/],
    ['one that is too old', request(header(SECRET, 400_000)), /too old/],
    ['no header', { headers: {}, body: BODY }, /stripe-signature is missing/],
  ])('refuses %s', (_, bad, message) => {
    expect(failureOf(() => webhooks.verify(bad))).toEqual(refusal(message))
  })

  it('refuses an event without an id', () => {
    const body = '{"type":"x"}'
    expect(failureOf(() => webhooks.verify(request(header(SECRET, 0, body), body)))).toMatchObject({
      code: 'REQUEST_INVALID',
    })
  })
})

describe('githubWebhooks', () => {
  const request = async (secret: string, body = BODY) => ({
    headers: {
      'X-Hub-Signature-256': await githubSign(secret, body),
      'X-GitHub-Delivery': 'd-1',
      'X-GitHub-Event': 'push',
    },
    body,
  })
  const webhooks = githubWebhooks({ secret: [SECRET, OTHER] })

  it('takes what its package has signed, known by the delivery or by the body', async () => {
    expect(webhooks.verify(await request(OTHER))).toEqual({ ...EVENT, id: 'd-1', type: 'push' })
    const byBody = githubWebhooks({ secret: SECRET, id: 'body' })
    expect(byBody.verify(await request(SECRET)).id).toMatch(/^sha256:[0-9a-f]{64}$/)
  })

  it('takes a secret of several words', async () => {
    const words = githubWebhooks({ secret: 'horse battery staple' })
    expect(words.verify(await request('horse battery staple'))).toMatchObject({ id: 'd-1' })
  })

  it('refuses another secret, another body, SHA-1, and requests without a signature', async () => {
    const good = await request(SECRET)
    const without = (name: string) =>
      Object.fromEntries(Object.entries(good.headers).filter(([header]) => header !== name))
    const sha1 = createHmac('sha1', SECRET).update(BODY).digest('hex')
    const bad: readonly [WebhookRequest, RegExp][] = [
      [await request('another'), /no signature in x-hub-signature-256/],
      [{ ...good, body: `${BODY} ` }, /no signature/],
      [{ ...good, headers: { ...good.headers, 'X-Hub-Signature-256': `sha1=${sha1}` } }, /kind sha256/],
      [{ ...good, headers: without('X-Hub-Signature-256') }, /x-hub-signature-256 is missing/],
      [{ ...good, headers: without('X-GitHub-Delivery') }, /x-github-delivery is missing/],
    ]
    for (const [one, message] of bad) expect(failureOf(() => webhooks.verify(one))).toEqual(refusal(message))
  })
})

describe('webhookReceiver', () => {
  let inbox: Inbox | undefined
  afterEach(() => inbox?.close())

  it('runs its handler once for each event, and not at all for a false one', async () => {
    inbox = createInbox({ db: ':memory:', consumer: 'stripe' })
    const seen: string[] = []
    const receive = webhookReceiver({
      webhooks: stripeWebhooks({ secret: SECRET, clock }),
      inbox,
      handler: (_tx, event) => seen.push(event.id),
    })
    const deliver = (ageMs: number, secret = SECRET) =>
      receive({
        headers: {
          'stripe-signature': Stripe.webhooks.generateTestHeaderString({
            payload: BODY,
            secret,
            timestamp: seconds(ageMs),
          }),
        },
        body: BODY,
      })
    await expect(deliver(0, OTHER)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' })
    expect(await deliver(2000)).toEqual({ outcome: 'processed', value: 1, event: EVENT })
    expect(await deliver(1000)).toEqual({ outcome: 'duplicate', event: EVENT })
    expect(seen).toEqual(['evt_1'])
  })
})
