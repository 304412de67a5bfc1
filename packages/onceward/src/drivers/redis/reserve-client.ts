import { type OpenLink, openLink } from './open-link.ts'
import { type IoRedisClient, type IoRedisCluster, isIoRedis, type NodeRedisClient } from './redis-handle.ts'

/** A client of our own beside the one that was given. */
export interface ReserveClient {
  readonly open: OpenLink
  /** Closes it. What is on its way over it is rejected. */
  close(): void
}

/** Opens another client with the options of the given one. It connects by itself, and again when it is lost. */
export function openReserve(who: string, client: object): ReserveClient {
  const own = isIoRedis(client) ? duplicateOf(client) : (client as NodeRedisClient).duplicate()
  // Without a listener an error would end the process, or be printed; its calls tell what it means.
  own.on('error', () => {})
  if (!isIoRedis(own)) own.connect().catch(() => {})
  const open = openLink(who, own)
  return {
    open,
    close() {
      open.link.close()
      try {
        if (isIoRedis(own)) own.disconnect()
        else own.destroy()
      } catch {
        // It was not open: nothing is left.
      }
    },
  }
}

function duplicateOf(client: IoRedisClient | IoRedisCluster): IoRedisClient | IoRedisCluster {
  const connects = { lazyConnect: false }
  return client.isCluster === true
    ? (client as IoRedisCluster).duplicate([], connects)
    : (client as IoRedisClient).duplicate(connects)
}
