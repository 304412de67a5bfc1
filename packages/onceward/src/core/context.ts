import { AsyncLocalStorage } from 'node:async_hooks'

/** One operation whose work is running, as the code inside it sees it. */
export interface Frame {
  readonly digest: string
  /** The store it runs on: the same key on another store is another operation. */
  readonly store: object
  readonly outer: Frame | undefined
  /** Errors that came out of operations nested in this one. What they say of their effect is not said of this one. */
  readonly crossed: WeakSet<object>
  /** Set when the work has ended; what it left behind is no longer inside it. */
  ended: boolean
}

// Nesting spans instances, so the instances must share this. It holds nothing by itself.
const frames = new AsyncLocalStorage<Frame>()

/** Runs `work` inside a new frame. */
export function runInFrame<T>(digest: string, store: object, work: (frame: Frame) => T): T {
  const frame: Frame = { digest, store, outer: currentFrame(), crossed: new WeakSet(), ended: false }
  return frames.run(frame, () => work(frame))
}

/** The innermost operation around the caller that has not ended. */
export function currentFrame(): Frame | undefined {
  let frame = frames.getStore()
  while (frame?.ended) frame = frame.outer
  return frame
}

/** Whether the caller is inside the work of this very operation. */
export function isInside(digest: string, store: object): boolean {
  for (let frame = currentFrame(); frame; frame = frame.outer) {
    if (!frame.ended && frame.digest === digest && frame.store === store) return true
  }
  return false
}

/** Whether the caller is inside the work of any operation of this store. */
export function isInsideStore(store: object): boolean {
  for (let frame = currentFrame(); frame; frame = frame.outer) {
    if (!frame.ended && frame.store === store) return true
  }
  return false
}
