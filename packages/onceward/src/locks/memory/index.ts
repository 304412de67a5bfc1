export { type MemoryLocksOptions, memoryLocks } from './memory-locks.ts'
