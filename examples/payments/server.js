// A payment service as services are written every day: it knows nothing of idempotency. Send a payment twice and it
// charges twice. Put the gateway before it and it charges once.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const charges = []

const server = createServer(async (request, response) => {
  if (request.url !== '/payments') return answer(response, 404, { error: 'there are only /payments' })
  if (request.method === 'GET') return answer(response, 200, charges)
  if (request.method !== 'POST') return answer(response, 405, { error: 'use GET or POST' })

  const payment = await readJson(request)
  if (!payment?.order || !Number.isFinite(payment.amount) || !payment.currency) {
    return answer(response, 400, { error: 'send {"order": "…", "amount": 4200, "currency": "EUR"}' })
  }
  await sleep(200) // The card network takes its time.
  const charge = { id: randomUUID(), order: payment.order, amount: payment.amount }
  charges.push({ ...charge, currency: payment.currency })
  answer(response, 201, charge)
})

server.on('error', (error) => {
  console.error(`the payment service cannot listen: ${error.message}`)
  process.exitCode = 1
})
server.listen(Number(process.env.PORT ?? 8082), '127.0.0.1', () => {
  console.log(`payment service listening on http://127.0.0.1:${server.address().port}`)
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close())

async function readJson(request) {
  let text = ''
  for await (const chunk of request) text += chunk
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
