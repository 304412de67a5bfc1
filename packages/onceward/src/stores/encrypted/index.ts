export { type EncryptedStoreOptions, encryptedStore } from './encrypted-store.ts'
export type { EncryptionKey } from './key-ring.ts'
export { isSealed } from './seal.ts'
export { holdsSealed } from './sealed-fields.ts'
