/** What a worker tells the sink. `trial` keeps the trials of one sink apart. */
export type SinkRequest = { readonly trial: string } & (
  | {
      readonly do: 'effect'
      readonly op: string
      readonly part: string
      readonly call: string
      readonly worker: number
      readonly fence: number
      readonly attempt: number
      readonly input: number
      readonly nonce: string
      /** Effects with the same key happen once; the second one is answered with the first. */
      readonly dedupe?: string
      /** The sink refuses a smaller fence than it has seen for this operation. */
      readonly fenced?: boolean
    }
  /** What became of an operation? Where nothing happened, it is made sure that nothing will under this fence. */
  | { readonly do: 'settle'; readonly op: string; readonly fence: number }
)

/** What the sink answers. */
export type SinkReply =
  | { readonly answer: 'done'; readonly nonce: string; readonly input: number; readonly first: boolean }
  | { readonly answer: 'stale' }
  | { readonly answer: 'not-happened' }
