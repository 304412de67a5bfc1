import { BaseSequencer } from 'vitest/node'

/** Sorts test files so that the slow ones come first. */
export default class SlowFirst extends BaseSequencer {}
