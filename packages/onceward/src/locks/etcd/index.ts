export type { EtcdAuth, EtcdFetch } from '../../drivers/etcd/index.ts'
export { type EtcdLocksOptions, etcdLocks } from './etcd-locks.ts'
