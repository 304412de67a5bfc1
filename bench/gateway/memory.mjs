// The memory of the gateway: under keyed requests, each with a key of its own, and while large bodies stream through.
//
//   node bench/gateway/memory.mjs [--seconds 30] [--connections 64] [--mebibytes 1024] [--full]
//
// `--full` sends a million keyed requests instead of watching the clock.
import { once } from 'node:events'
import { request } from 'node:http'
import { load } from '../lib/load.mjs'
import { readOptions, withFolder } from '../lib/options.mjs'
import { PAYMENT } from '../lib/payments.mjs'
import { report, table } from '../lib/report.mjs'
import { median, number } from '../lib/statistics.mjs'
import { startGateway, startUpstream } from './start.mjs'

const options = readOptions({ seconds: 30, connections: 64, mebibytes: 1024, full: false })
const MILLION = 1_000_000
let keys = 0

await withFolder(async (folder) => {
  const upstream = await startUpstream()
  const gateway = await startGateway(upstream, `${folder}/gateway.sqlite`).catch(async (error) => {
    await upstream.stop()
    throw error
  })
  try {
    const atStart = gateway.memoryMiB().now
    const { sent, marks } = await sendKeyed()
    const atMost = gateway.memoryMiB().most
    const download = await watching(() => downloaded(options.mebibytes * 2 ** 20))
    const upload = await watching(() => uploaded(options.mebibytes * 2 ** 20))
    report('gateway-memory', 'The memory of the gateway', [
      `${number(sent)} requests with a key each, over ${options.connections} connections, then ${options.mebibytes} ` +
        'MiB streamed through in each direction. Resident memory in MiB, as the system counts it.',
      table(
        ['', 'MiB'],
        [
          ['after the start', number(atStart)],
          ...marks.map(({ requests, memory }) => [
            `after ${number(requests)} keyed requests`,
            number(memory),
          ]),
          ['at most so far', number(atMost)],
          [
            'while a download streamed, median and most',
            `${number(download.median)}, ${number(download.most)}`,
          ],
          ['while an upload streamed, median and most', `${number(upload.median)}, ${number(upload.most)}`],
        ],
      ),
    ])
  } finally {
    await gateway.stop()
    await upstream.stop()
  }

  async function sendKeyed() {
    let sent = 0
    /** @type {{ requests: number, memory: number }[]} */
    const marks = []
    const slices = options.full ? Number.POSITIVE_INFINITY : 10
    const sliceMs = options.full ? 5000 : (options.seconds * 1000) / slices
    for (let slice = 0; slice < slices && sent < MILLION; slice += 1) {
      const keyed = { method: 'POST', path: '/payments', body: PAYMENT, key: nextKey }
      const sample = await load(gateway, keyed, {
        connections: options.connections,
        durationMs: sliceMs,
        warmUpMs: 0,
      })
      if (Object.keys(sample.statuses).join() !== '201') throw new Error(JSON.stringify(sample.statuses))
      sent += sample.requests
      marks.push({ requests: sent, memory: gateway.memoryMiB().now })
    }
    // Ten lines tell as much as a hundred.
    const step = Math.ceil(marks.length / 10)
    return { sent, marks: marks.filter((_, index) => (index + 1) % step === 0) }
  }

  /** @param {() => Promise<void>} work */
  async function watching(work) {
    /** @type {number[]} */
    const seen = []
    const timer = setInterval(() => seen.push(gateway.memoryMiB().now), 20)
    try {
      await work()
    } finally {
      clearInterval(timer)
    }
    return { median: median(seen), most: Math.max(...seen) }
  }

  /** @param {number} bytes */
  async function downloaded(bytes) {
    const asked = request(`${gateway.url}/download/${bytes}`).end()
    const [response] = await once(asked, 'response')
    let received = 0
    for await (const chunk of response) received += chunk.length
    if (received !== bytes) throw new Error(`${received} of ${bytes} bytes came down`)
  }

  /** @param {number} bytes */
  async function uploaded(bytes) {
    const chunk = Buffer.alloc(64 * 1024, 7)
    const asked = request(`${gateway.url}/upload`, { method: 'POST', headers: { 'Content-Length': bytes } })
    const answered = once(asked, 'response')
    for (let left = bytes; left > 0; left -= chunk.length) {
      if (!asked.write(left < chunk.length ? chunk.subarray(0, left) : chunk)) await once(asked, 'drain')
    }
    asked.end()
    const [response] = await answered
    let text = ''
    for await (const part of response) text += part
    const { uploadedBytes } = JSON.parse(text)
    if (uploadedBytes !== bytes) throw new Error(`${uploadedBytes} of ${bytes} bytes went up`)
  }
})

function nextKey() {
  keys += 1
  return `key-${keys}`
}
