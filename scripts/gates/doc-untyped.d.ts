/** Packages that examples import and that bring no types. */

declare module 'node-zookeeper-client' {
  import type { ZookeeperClient } from 'onceward/locks/zookeeper'

  export function createClient(
    servers: string,
    options?: { readonly sessionTimeout?: number },
  ): ZookeeperClient & { connect(): void; close(): void }
}
