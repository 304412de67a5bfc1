/** Something that happens at most once and can be waited for. */
export class Flag {
  readonly raised: Promise<undefined>
  readonly raise: () => void

  constructor() {
    let resolve: (value: undefined) => void = () => {}
    this.raised = new Promise((settle) => {
      resolve = settle
    })
    this.raise = () => resolve(undefined)
  }
}
