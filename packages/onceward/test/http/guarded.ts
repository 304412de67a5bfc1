import { createOnce } from '../../src/core/create-once.ts'
import type { Once } from '../../src/core/once-types.ts'
import type { OperationStore } from '../../src/core/store.ts'
import type { GuardedOnce, IdempotencyOptions } from '../../src/http/guard-options.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import type { HttpSetup } from '../../src/testing/http-target.ts'

/** The options of a middleware for a case, over an empty store of its own. */
export interface Guarded<Request> {
  readonly options: IdempotencyOptions<Request>
  close(): Promise<void>
}

/** Turns what a case asks for into options; `header` reads a field of the framework's request. */
export function guarded<Request>(
  { options, wrapStore = (store) => store }: HttpSetup,
  header: (request: Request, name: string) => string | undefined,
  openStore: () => OperationStore = memoryStore,
  breakOnce: (once: Once) => GuardedOnce = (once) => once,
): Guarded<Request> {
  const store = wrapStore(openStore())
  const { scope, quota, storeTimeoutMs, broken, ...rest } = options
  const breaks = broken?.how === 'throws' ? fail : async () => fail()
  const once = createOnce({
    store,
    scope: 'conformance',
    ...(storeTimeoutMs === undefined ? {} : { storeTimeoutMs }),
  })
  return {
    options: {
      ...rest,
      once: breakOnce(once),
      scope:
        broken?.of === 'scope'
          ? breaks
          : scope === 'public'
            ? scope
            : (request) => header(request, scope.header),
      ...(broken?.of === 'deriveKey' ? { deriveKey: breaks } : {}),
      ...(quota === undefined ? {} : { quota: { newKeys: quota, perMs: 60_000 } }),
    },
    close: () => store.close(),
  }
}

function fail(): never {
  throw new SyntaxError('canary-of-a-broken-function')
}
