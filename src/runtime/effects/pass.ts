// One pass over one task: what its effects share. Holds the version that the next compare-and-set expects.

import type { Failure, Observed, Report, TaskRecord } from '../../core/observed.ts'
import type { Plan } from '../../core/plan.ts'
import type { Result } from '../../lib/result.ts'
import type { Intended } from '../ledger/intend.ts'

export interface Pass {
  readonly observed: Observed
  readonly plan: Plan
  /** what status holds as far as this pass knows, to send only differences */
  stored: { readonly record: TaskRecord; readonly report: Report; readonly resourceVersion: string }
  /** the rows of the ledger that were written together with the intent, by credential; and what was in the way of one */
  rows?: ReadonlyMap<string, Result<Intended, Failure>>
  /** the Secret as this pass wrote it, should it have to be taken back */
  written: { readonly uid: string; readonly resourceVersion: string } | undefined
}
