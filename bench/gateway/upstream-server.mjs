// node upstream-server.mjs: a service that knows nothing of idempotency, as small as node:http allows.
import { createServer } from 'node:http'
import { answerParent, createPayments } from '../lib/payments.mjs'

const payments = createPayments()
const LISTED = JSON.stringify({ payments: Array.from({ length: 3 }, (_, id) => ({ id, amount: 4200 })) })
const CHUNK = Buffer.alloc(64 * 1024, 7)
let uploadedBytes = 0

const server = createServer((req, res) => {
  if (req.url === '/payments' && req.method === 'POST') return pay(req, res)
  if (req.url === '/payments') return answer(res, 200, LISTED)
  if (req.url === '/upload') return upload(req, res)
  if (req.url?.startsWith('/download/')) return download(Number(req.url.slice('/download/'.length)), res)
  answer(res, 404, '{}')
})
server.keepAliveTimeout = 60_000

/** @typedef {import('node:http').IncomingMessage} Request @typedef {import('node:http').ServerResponse} Response */

/** @param {Request} req @param {Response} res */
function pay(req, res) {
  let text = ''
  req.on('data', (chunk) => {
    text += chunk
  })
  req.on('end', () => answer(res, 201, JSON.stringify(payments.charge(JSON.parse(text)))))
}

/** @param {Response} res @param {number} status @param {string} body */
function answer(res, status, body) {
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
  res.end(body)
}

/** @param {Request} req @param {Response} res */
function upload(req, res) {
  req.on('data', (chunk) => {
    uploadedBytes += chunk.length
  })
  req.on('end', () => answer(res, 200, JSON.stringify({ uploadedBytes })))
}

/** @param {number} bytes @param {Response} res */
async function download(bytes, res) {
  res.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': bytes })
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
    if (!res.write(chunk)) await new Promise((resolve) => res.once('drain', resolve))
  }
  res.end()
}

answerParent(payments.count)
server.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`listening on http://127.0.0.1:${port}`)
})
