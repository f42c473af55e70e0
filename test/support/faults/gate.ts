// Where proxies ask what is to become of each call that passes them. A trap holds the call that it was set for, before it is handed on or
// after it was answered, until it is told what becomes of it; everything else passes.

/** `cut`: the connection ends there. Before it is handed on nobody hears of it; after that it is done, and its reply lost. */
export type Fate = 'pass' | 'cut'

export interface Call {
  /** whom it is for: `kube`, or a subject */
  readonly to: string
  /** such as `POST /v1/issue`, or the text of a statement */
  readonly what: string
  /** the task that it is about, where that can be told */
  readonly task?: string | undefined
  /** of what is written to `kube`, where it says so itself */
  readonly name?: string | undefined
}

export interface TrapOptions {
  readonly when: 'before' | 'after'
  matches(call: Call): boolean
  /** counted only after such a call was seen */
  since?(call: Call): boolean
  /** the call of that kind that is meant, from 1 */
  readonly nth?: number
}

export interface Trap {
  /** whether it holds its call */
  caught(): boolean
  /** What becomes of it; where it holds none, it never will. */
  release(fate: Fate): void
}

export interface Gate {
  set(options: TrapOptions): Trap
  /** Answers once the call may go on. */
  before(call: Call): Promise<Fate>
  after(call: Call): Promise<Fate>
}

export function createGate(): Gate {
  interface Set extends TrapOptions {
    armed: boolean
    seen: number
    meant: Call | undefined
    hold: PromiseWithResolvers<Fate> | undefined
  }
  const traps = new Set<Set>()

  async function at(when: 'before' | 'after', call: Call): Promise<Fate> {
    for (const trap of traps) {
      if (when === 'before' && trap.meant === undefined) {
        if (trap.armed && trap.matches(call)) {
          trap.seen += 1
          if (trap.seen === (trap.nth ?? 1)) trap.meant = call
        }
        if (trap.since?.(call) === true) trap.armed = true
      }
      if (trap.meant === call && trap.when === when) {
        trap.hold = Promise.withResolvers<Fate>()
        return trap.hold.promise
      }
    }
    return 'pass'
  }

  return {
    set(options) {
      const trap: Set = { ...options, armed: options.since === undefined, seen: 0, meant: undefined, hold: undefined }
      traps.add(trap)
      return {
        caught: () => trap.hold !== undefined,
        release(fate) {
          traps.delete(trap)
          trap.hold?.resolve(fate)
        },
      }
    },
    before: (call) => at('before', call),
    after: (call) => at('after', call),
  }
}
