/** A fault put into a copy of the built library: a piece of text that must be there exactly once, and what replaces it. */
export interface Mutant {
  /** What is broken, as a sentence about the engine. */
  readonly name: string
  /** The file under `core/` of the built library. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** Faults that the simulation must notice. Each is one that somebody could make. */
export const MUTANTS: readonly Mutant[] = [
  // Leases and deadlines.
  {
    name: 'the heartbeat is never started',
    file: 'lease-keeper.js',
    find: 'this.#onLost = onLost;\n        this.#schedule();',
    replace: 'this.#onLost = onLost;',
  },
  {
    name: 'the deadline is counted from the reply to the claim',
    file: 'claiming.js',
    find: 'return { reply, sentAt };',
    replace: 'return { reply, sentAt: readClock(engine) };',
  },
  {
    name: 'the deadline is counted from the reply to a renewal',
    file: 'lease-keeper.js',
    find: 'else if (sent.monotonic > this.#granted.monotonic)\n                this.#granted = sent;',
    replace: 'else\n                this.#granted = readClock(this.#engine);',
  },
  {
    name: 'the signal aborts only when a timer fires',
    file: 'lease-keeper.js',
    find: 'get signal() {\n        this.isLost();',
    replace: 'get signal() {',
  },
  {
    name: 'the deadline leaves no room for clocks that differ',
    file: 'lease-clock.js',
    find: 'return leaseMs - (leaseMs * (0.02 + drift) + 2);',
    replace: 'return leaseMs + leaseMs * 0.02;',
  },
  {
    name: 'work begins under a claim that was granted too late',
    file: 'claiming.js',
    find: "reply.state === 'claimed' && isSpent(",
    replace: 'false && isSpent(',
  },
  // Storing the end.
  {
    name: 'a refused completion is taken for a success',
    file: 'execution.js',
    find: "    if (stored === 'refused')\n        return { result: { error: claimLost() } };\n",
    replace: '',
  },
  {
    name: 'a completion that never reached the store is taken for a success',
    file: 'execution.js',
    find: "if (stored === 'unreachable')\n        return { result: { error: new OncewardError('OUTCOME_NOT_STORED', undefined, { value }) } };",
    replace: '',
  },
  {
    name: 'the answer is told before it is stored',
    file: 'execution.js',
    find: '}, value);\n    const stored = await complete(ending, outcome);',
    replace: "}, value);\n    void complete(ending, outcome);\n    const stored = 'applied';",
  },
  {
    name: 'a completion whose reply was lost is not tried again',
    file: 'persist.js',
    find: 'if (isLasting(error) || ',
    replace: 'if (true || ',
  },
  // Errors of the work.
  {
    name: 'an unmarked throw releases where it must hold',
    file: 'execution.js',
    find: 'return hold(ending, error);',
    replace: "return release(ending, error, 'unknown');",
  },
  {
    name: 'an error marked as without effect holds, and never settles',
    file: 'execution.js',
    find: "return release(ending, error, 'none');",
    replace: 'return hold(ending, error);',
  },
  {
    name: 'what a nested operation says of its effect is believed of the outer one',
    file: 'create-once.js',
    find: 'function crossed(error, outer) {',
    replace: 'function crossed(error, outer) { return error;',
  },
  // Asking the store, alone and together.
  {
    name: 'a claim whose reply was lost is asked for under a new nonce',
    file: 'claiming.js',
    find: 'engine.store.claim(request)',
    replace: 'engine.store.claim({ ...request, owner: engine.random.nonce() })',
  },
  {
    name: 'a cached outcome is replayed to another input',
    file: 'outcome-cache.js',
    find: 'if (known.fingerprint !== fingerprint)\n                return undefined;',
    replace: '',
  },
  {
    name: 'a cached outcome is told for ever',
    file: 'outcome-cache.js',
    find: 'if (clock.monotonic() >= known.expiresAt) {',
    replace: 'if (false) {',
  },
  {
    name: 'a caller with another input joins the run of this process',
    file: 'attempt.js',
    find: 'if (isOther(room.running.fingerprint, fingerprint))\n                    return reused(engine, id);',
    replace: '',
  },
  {
    name: 'a caller with another input shares the question of this process',
    file: 'attempt.js',
    find: 'if (askedFor !== fingerprint || found',
    replace: 'if (found',
  },
  {
    name: 'all replays share one object',
    file: 'attempt.js',
    find: 'const value = replay(id, outcome.outcome, policy.codec);',
    replace: 'const value = (outcome.copy ??= replay(id, outcome.outcome, policy.codec));',
  },
  {
    name: 'a waiter looks again only when the store wakes it',
    file: 'room.js',
    find: 'timers.after(Math.max(1, Math.min(lookAgainMs, remainingMs + 1)), end',
    replace: 'timers.after(1e7, end',
  },
  {
    name: 'an operation that calls itself waits for itself',
    file: 'create-once.js',
    find: 'if (isInside(id.digest, engine.store))',
    replace: 'if (false)',
  },
  // Reconciling and steps.
  {
    name: 'reconcile is asked without the turn to ask',
    file: 'reconciling.js',
    find: 'if (!(await bounded(engine.store.takeTurn(id, turn))))\n            return false;',
    replace: 'await bounded(engine.store.takeTurn(id, turn));',
  },
  {
    name: 'a finished step is run again',
    file: 'step-runner.js',
    find: 'if (known)\n            return this.#finishedValue(known, open);',
    replace: '',
  },
  {
    name: 'a step that must not be repeated is not announced',
    file: 'step-runner.js',
    find: "await this.#checkpoint({ name, state: 'started', onCrash });",
    replace: ';',
  },
  // The transitions of a record.
  {
    name: 'a claim asks no longer for the same input',
    file: 'transitions.js',
    find: "if (isOtherInput(record, request))\n        return { reply: { state: 'reused' } };",
    replace: '',
  },
  {
    name: 'fences begin anew with each record',
    file: 'transitions.js',
    find: 'Math.max(previousFence + 1, Math.floor(now * 1000))',
    replace: 'previousFence + 1',
  },
  {
    name: 'a lapsed claim is taken over though it holds on a crash',
    file: 'record-draft.js',
    find: "record.onCrash === 'hold' ||",
    replace: 'false ||',
  },
  {
    name: 'a claim is taken over before its lease is over',
    file: 'transitions.js',
    find: 'if (now < record.leaseUntil) {',
    replace: 'if (now < record.leaseUntil - 20) {',
  },
  {
    name: 'a renewal does not prolong the lease',
    file: 'transitions.js',
    find: 'leaseUntil: now + leaseMs }), reply: true',
    replace: 'leaseUntil: record.leaseUntil }), reply: true',
  },
  {
    name: 'anybody may complete a running operation',
    file: 'transitions.js',
    find: 'if (!owns(record, claim))\n        return { reply: false };\n    const event =',
    replace: 'const event =',
  },
  {
    name: 'a claim repeated after a lost reply is another claim',
    file: 'transitions.js',
    find: "if (record.state === 'running' && record.owner === request.owner) {",
    replace: 'if (false) {',
  },
  {
    name: 'the turn to ask is not counted',
    file: 'transitions.js',
    find: 'asks: record.asks + 1, nextAskAt',
    replace: 'asks: record.asks, nextAskAt',
  },
  {
    name: 'a decision leaves no line in the audit',
    file: 'transitions.js',
    find: '        audit: {\n',
    replace: '        notes: {\n',
  },
  {
    name: 'a release forgets the finished steps',
    file: 'transitions.js',
    find: "withEvent({ ...record, state: 'released', steps }",
    replace: "withEvent({ ...record, state: 'released', steps: [] }",
  },
]
