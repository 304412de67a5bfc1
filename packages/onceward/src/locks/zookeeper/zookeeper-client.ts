/** The part of a client of `node-zookeeper-client` that is used. */
export interface ZookeeperClient {
  getState(): { getCode(): number }
  /** As the server has granted it, in ms; known once the client is connected. */
  getSessionTimeout(): number
  getData(
    path: string,
    callback: (error: Failed, data: Buffer | undefined, stat: ZookeeperStat) => void,
  ): void
  setData(
    path: string,
    data: Buffer,
    version: number,
    callback: (error: Failed, stat: ZookeeperStat) => void,
  ): void
  exists(
    path: string,
    watcher: (event: ZookeeperEvent) => void,
    callback: (error: Failed, stat: ZookeeperStat | null) => void,
  ): void
  getChildren(path: string, callback: (error: Failed, children: readonly string[]) => void): void
  getChildren(
    path: string,
    watcher: (event: ZookeeperEvent) => void,
    callback: (error: Failed, children: readonly string[]) => void,
  ): void
  transaction(): ZookeeperTransaction
  on(event: 'expired', listener: () => void): unknown
  removeListener(event: 'expired', listener: () => void): unknown
}

/** Steps that are carried out together or not at all. */
export interface ZookeeperTransaction {
  create(path: string, data: Buffer, acls: readonly unknown[] | undefined, mode: number): unknown
  setData(path: string, data: Buffer, version: number): unknown
  remove(path: string, version: number): unknown
  check(path: string, version: number): unknown
  commit(callback: (error: Failed, results: readonly ZookeeperResult[] | undefined) => void): void
}

/** What a step of a transaction did. */
export interface ZookeeperResult {
  readonly path?: string
  readonly stat?: ZookeeperStat
}

/** What ZooKeeper knows of a node. 64-bit numbers are 8 bytes. */
export interface ZookeeperStat {
  /** The transaction that created it. */
  readonly czxid: Buffer
  /** When it was written last, in ms since the epoch on the clock of the leader. */
  readonly mtime: Buffer
  readonly version: number
}

/** What has happened to a node that was watched. */
export interface ZookeeperEvent {
  getType(): number
}

/** What a callback gets first. */
export type Failed = (Error & { readonly code?: unknown }) | null | undefined
