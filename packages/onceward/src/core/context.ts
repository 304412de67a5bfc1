import { AsyncLocalStorage } from 'node:async_hooks'

/** One operation whose work is running, as the code inside it sees it. */
export interface Frame {
  readonly digest: string
  /** The store it runs on: the same key on another store is another operation. */
  readonly store: object
  readonly outer: Frame | undefined
  /** Errors that came out of operations nested in this one, once there are any. */
  crossed: WeakSet<object> | undefined
  /** Set when the work has ended; what it left behind is no longer inside it. */
  ended: boolean
}

// Nesting spans instances, so the instances must share this. It holds nothing by itself.
const frames = new AsyncLocalStorage<Frame>()

/** Makes the frame of an operation inside the one around the caller. */
export function newFrame(digest: string, store: object): Frame {
  return { digest, store, outer: currentFrame(), crossed: undefined, ended: false }
}

/** Runs `work` inside a frame. */
export function runInFrame<T>(frame: Frame, work: () => T): T {
  return frames.run(frame, work)
}

/** Notes an error that came out of an operation nested in `frame`: what it says of its effect is not said of that one. */
export function noteCrossed(frame: Frame, error: object): void {
  frame.crossed ??= new WeakSet()
  frame.crossed.add(error)
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
