import type { Clock, Timers } from '../core/clock.ts'

/** Something that is to happen at a time. It is set, moved and cleared by {@link Alarms}. */
export class Alarm {
  readonly ring: () => void
  /** On the monotonic clock, in ms. */
  at = 0
  /** Where it waits; absent while it is not set. */
  slot: Set<Alarm> | undefined

  constructor(ring: () => void) {
    this.ring = ring
  }
}

/**
 * Many alarms on one timer, so that ten thousand leases cost no more timers than one. Setting and clearing take constant time.
 *
 * Alarms wait in slots: of 1 ms when they are near, of 32 ms and 1,024 ms when they are far. A slot whose time has come rings
 * what is due and puts the rest into finer slots. An alarm never rings early, and late by what a timer is late.
 */
export class Alarms {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #background: boolean
  readonly #slots = new Map<number, Set<Alarm>>()
  #size = 0
  #armedFor = Infinity
  #disarm: () => void = () => {}

  /** @param background - Whether the process may end while alarms are set. */
  constructor({ clock, timers }: { readonly clock: Clock; readonly timers: Timers }, background: boolean) {
    this.#clock = clock
    this.#timers = timers
    this.#background = background
  }

  /** Sets an alarm, or moves it. */
  set(alarm: Alarm, at: number): void {
    this.#remove(alarm)
    this.#size++
    alarm.at = at
    const now = this.#clock.monotonic()
    const opensAt = this.#put(alarm, now)
    if (opensAt < this.#armedFor) this.#arm(opensAt, now)
  }

  clear(alarm: Alarm): void {
    if (!alarm.slot) return
    this.#remove(alarm)
    if (this.#size === 0) this.stop()
  }

  /** Forgets all alarms. */
  stop(): void {
    this.#disarm()
    this.#armedFor = Infinity
    for (const slot of this.#slots.values()) for (const alarm of slot) alarm.slot = undefined
    this.#slots.clear()
    this.#size = 0
  }

  #remove(alarm: Alarm): void {
    if (!alarm.slot) return
    alarm.slot.delete(alarm)
    alarm.slot = undefined
    this.#size--
  }

  #put(alarm: Alarm, now: number): number {
    const wait = alarm.at - now
    const width = wait < 128 ? 1 : wait < 4096 ? 32 : 1024
    const opensAt = width === 1 ? Math.ceil(alarm.at) : Math.floor(alarm.at / width) * width
    let slot = this.#slots.get(opensAt)
    if (!slot) {
      slot = new Set()
      this.#slots.set(opensAt, slot)
    }
    alarm.slot = slot.add(alarm)
    return opensAt
  }

  #arm(opensAt: number, now: number): void {
    this.#disarm()
    this.#armedFor = opensAt
    this.#disarm = this.#timers.after(Math.max(1, opensAt - now), () => this.#tick(), {
      background: this.#background,
    })
  }

  #tick(): void {
    const now = this.#clock.monotonic()
    const due = new Set<Alarm>()
    for (const [opensAt, slot] of this.#slots) {
      if (opensAt > now) continue
      this.#slots.delete(opensAt)
      for (const alarm of slot) {
        if (alarm.at <= now) alarm.slot = due.add(alarm)
        else this.#put(alarm, now)
      }
    }
    this.#armedFor = Infinity
    if (this.#size > due.size) this.#armNext(now)
    // What rings may clear others that are due as well: they leave the set then.
    for (const alarm of due) {
      this.#remove(alarm)
      alarm.ring()
    }
  }

  #armNext(now: number): void {
    let first = Infinity
    for (const [opensAt, slot] of this.#slots) {
      if (slot.size === 0) this.#slots.delete(opensAt)
      else if (opensAt < first) first = opensAt
    }
    this.#arm(first, now)
  }
}
