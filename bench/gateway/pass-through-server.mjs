// node pass-through-server.mjs UPSTREAM: the floor of a gateway. It hands requests on with an undici Pool and does
// nothing else.
import { createServer } from 'node:http'
import { Pool } from 'undici'

const upstream = new Pool(process.argv[2] ?? '', { connections: 128, pipelining: 1 })
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'te', 'trailer', 'upgrade'])

const server = createServer((req, res) => {
  const hasBody =
    req.headers['content-length'] !== undefined || req.headers['transfer-encoding'] !== undefined
  upstream.stream(
    {
      method: /** @type {import('undici').Dispatcher.HttpMethod} */ (req.method),
      path: req.url ?? '/',
      headers: withoutHopByHop(req.headers),
      body: hasBody ? req : null,
      responseHeaders: null,
    },
    ({ statusCode, headers }) => res.writeHead(statusCode, withoutHopByHop(headers)),
    (error) => {
      if (error && !res.headersSent) res.writeHead(502)
      if (error) res.end()
    },
  )
})
server.keepAliveTimeout = 60_000

/** @param {import('node:http').IncomingHttpHeaders} headers */
function withoutHopByHop(headers) {
  /** @type {import('node:http').IncomingHttpHeaders} */
  const kept = {}
  for (const name of Object.keys(headers)) if (!HOP_BY_HOP.has(name)) kept[name] = headers[name]
  return kept
}

process.on('SIGTERM', () => process.exit(0))
process.on('disconnect', () => process.exit(0))
server.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`listening on http://127.0.0.1:${port}`)
})
