import type { Duration } from '../lib/instant.ts'

/** Counts and durations of what was done. Gauges are not here: they are computed from the stores when somebody scrapes. */
export interface Meter {
  decision(outcome: 'allow' | 'deny', reason: string): void
  evaluation(took: Duration): void
  /** Policies in Audit mode would have changed an answer to this outcome. */
  wouldBe(outcome: string): void
  issued(provider: string, result: 'success' | 'failure', took: Duration): void
  renewed(provider: string, result: 'success' | 'failure', took: Duration): void
  /** @param overrun revocation confirmed minus task ended */
  revoked(provider: string, overrun: Duration): void
  /** A task is over, or the credential, and the value that it was given works on: it existed before. */
  remained(provider: string): void
  /** a credential of a live task was found ended at its source by somebody else */
  lost(provider: string): void
  reconciled(result: 'success' | 'retry' | 'failure', took: Duration): void
  apiRequest(verb: string, resource: string, code: number, took: Duration): void
  watchRestarted(resource: string, reason: string): void
  auditFailed(): void
}
