/** What examples in documents and doc comments may use without saying where it comes from. */
import type { Once } from 'onceward'

declare global {
  const once: Once
  const order: { readonly id: string; readonly total: number; readonly currency: string }
  const cart: { readonly id: string; readonly items: readonly string[] }
  const charge: (order: { readonly id: string }) => Promise<{ readonly id: string }>
  const stripe: {
    readonly charges: {
      create(charge: object, options?: { readonly idempotencyKey?: string }): Promise<{ readonly id: string }>
      list(query: object): Promise<{ readonly data: readonly { readonly id: string }[] }>
    }
  }
}
