// One pass over one task: what its effects share. Holds the version that the next compare-and-set expects.

import type { Observed, Report, TaskRecord } from '../../core/observed.ts'
import type { Plan } from '../../core/plan.ts'

export interface Pass {
  readonly observed: Observed
  readonly plan: Plan
  /** what status holds as far as this pass knows, to send only differences */
  stored: { readonly record: TaskRecord; readonly report: Report; readonly resourceVersion: string }
  /** the Secret as this pass wrote it, should it have to be taken back */
  written: { readonly uid: string; readonly resourceVersion: string } | undefined
}
