// The one way to Cedar. Running out of stack or memory inside WebAssembly leaves its engine in no known state, so after the first
// such fault every call throws and `usable` says no: the process must be started anew. Nothing is judged by a damaged engine.

import * as wasm from '@cedar-policy/cedar-wasm/nodejs'

export interface Cedar
  extends Pick<
    typeof wasm,
    'policySetTextToParts' | 'policyToJson' | 'validate' | 'preparsePolicySet' | 'preparseSchema' | 'schemaToJson' | 'statefulIsAuthorized'
  > {
  /** For the liveness probe. */
  usable(): boolean
}

export function createCedar(engine: Omit<Cedar, 'usable'> = wasm): Cedar {
  let fault: unknown
  const guarded =
    <A extends readonly unknown[], R>(call: (...input: A) => R) =>
    (...input: A): R => {
      if (fault !== undefined) throw new Error('the policy engine is damaged', { cause: fault })
      try {
        return call(...input)
      } catch (error) {
        // by name: a fault may come from another realm's WebAssembly
        if (error instanceof Object && 'name' in error && (error.name === 'RuntimeError' || error.name === 'RangeError')) fault = error
        throw error
      }
    }
  return {
    policySetTextToParts: guarded(engine.policySetTextToParts),
    policyToJson: guarded(engine.policyToJson),
    validate: guarded(engine.validate),
    preparsePolicySet: guarded(engine.preparsePolicySet),
    preparseSchema: guarded(engine.preparseSchema),
    schemaToJson: guarded(engine.schemaToJson),
    statefulIsAuthorized: guarded(engine.statefulIsAuthorized),
    usable: () => fault === undefined,
  }
}
