export {
  type EtcdClient,
  type EtcdCompare,
  type EtcdEntry,
  etcdClient,
  type TxnReply,
} from './etcd-client.ts'
export { failure } from './etcd-errors.ts'
export type { EtcdFetch } from './etcd-fetch.ts'
export { createdIs, get, isAbsent, modifiedIs, put, putsAreBefore, remove } from './etcd-ops.ts'
export type { EtcdAuth } from './etcd-transport.ts'
