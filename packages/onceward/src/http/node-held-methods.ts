import { setPairs, writeHeadPairs } from './node-headers.ts'
import {
  type HeldResponse,
  heldHeaders,
  hideClose,
  holdChunk,
  holdEnd,
  holdHead,
  writeHeadOnce,
} from './node-held-response.ts'

/**
 * Gives the response and its request methods that keep back what the handler writes. Once the response is let go they
 * do what the real ones do.
 */
export function patchMethods(held: HeldResponse): void {
  const { req, res, real } = held
  Object.assign(res, heldWriting(held), heldEvents(held))
  req.destroy = (error) => {
    // A stream destroys itself at its end: readers (`for await`, `finished`) wait for the close that follows.
    if (!held.holding || (req.readableEnded && req.complete)) return real.destroyRequest.call(req, error)
    held.destroyedWith = { error }
    return req
  }
}

/** The methods by which a response is written. */
function heldWriting(held: HeldResponse): object {
  const { res, real } = held
  return {
    writeHead(status: number, ...rest: unknown[]) {
      if (!held.holding) return Reflect.apply(real.writeHead, res, [status, ...rest])
      if (held.hasHead) throw headersSent()
      if (!(status >= 100 && status <= 999)) throw invalidStatus(status)
      const headers = writeHeadPairs(typeof rest[0] === 'string' ? rest[1] : (rest[1] ?? rest[0]))
      res.statusCode = status
      if (typeof rest[0] === 'string') res.statusMessage = rest[0]
      setPairs(res, headers)
      holdHead(held)
      return res
    },
    write(chunk: unknown, ...rest: unknown[]) {
      if (!held.holding) return Reflect.apply(real.write, res, [chunk, ...rest])
      const done = callbackOf(rest)
      if (held.hasEnded) return false
      holdChunk(held, bytesOf(chunk, rest[0]))
      if (done) process.nextTick(done)
      return true
    },
    end(...args: unknown[]) {
      if (!held.holding) return Reflect.apply(real.end, res, args)
      if (held.hasEnded) return res
      const done = callbackOf(args)
      const [chunk] = args
      if (done) res.once('finish', done)
      if (chunk !== undefined && chunk !== null && typeof chunk !== 'function')
        holdChunk(held, bytesOf(chunk, args[1]))
      else writeHeadOnce(held)
      // The last chunk may have been the one too many.
      if (!held.holding) return Reflect.apply(real.end, res, [])
      holdEnd(held)
      const body = Buffer.concat(held.chunks, held.sizeBytes)
      held.resolve({ status: res.statusCode, headers: heldHeaders(held), body })
      return res
    },
    flushHeaders() {
      if (held.holding) writeHeadOnce(held)
      else real.flushHeaders.call(res)
    },
  }
}

/** The methods by which a response learns of its end, and tells of it. */
function heldEvents(held: HeldResponse): object {
  const { res, real } = held
  return {
    destroy(error?: Error) {
      if (!held.holding) return real.destroy.call(res, error)
      if (!held.hasEnded) held.reject(error ?? new Error('the handler broke its response off'))
      return res
    },
    emit(event: string | symbol, ...args: unknown[]) {
      if (!held.holding || event !== 'close') return real.emit.call(res, event, ...args)
      hideClose(held)
      return true
    },
  }
}

function bytesOf(chunk: unknown, encoding: unknown): Buffer {
  if (typeof chunk === 'string') {
    return Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
  }
  // A copy: its owner may use the memory again once it believes the chunk sent.
  if (chunk instanceof Uint8Array) return Buffer.from(chunk)
  throw Object.assign(new TypeError('a chunk of a response must be a text or bytes'), {
    code: 'ERR_INVALID_ARG_TYPE',
  })
}

function callbackOf(args: readonly unknown[]): (() => void) | undefined {
  return args.find((arg): arg is () => void => typeof arg === 'function')
}

function headersSent(): Error {
  return Object.assign(new Error('Cannot write headers after they are sent to the client'), {
    code: 'ERR_HTTP_HEADERS_SENT',
  })
}

/** As `node:http` does, so that the handler learns of it, and not whoever sends its response later. */
function invalidStatus(status: unknown): Error {
  return Object.assign(new RangeError(`Invalid status code: ${String(status)}`), {
    code: 'ERR_HTTP_INVALID_STATUS_CODE',
  })
}
