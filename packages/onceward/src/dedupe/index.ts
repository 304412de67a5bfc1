export { createDedupe } from './create-dedupe.ts'
export type { Dedupe, DedupeOptions, DedupeStats, Item, SightOptions } from './dedupe-types.ts'
