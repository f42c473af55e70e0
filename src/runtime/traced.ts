// Puts what a pass calls from several places into spans, without it knowing.

import type { Tracer } from '../ports/tracer.ts'
import type { WriteStatus } from './effects/status.ts'
import type { Gather } from './gather.ts'

export const tracedGather =
  (tracer: Pick<Tracer, 'span'>, gather: Gather): Gather =>
  (task, now) =>
    tracer.span('task.judge', {}, () => gather(task, now))

export const tracedWriteStatus =
  (tracer: Pick<Tracer, 'span'>, write: WriteStatus): WriteStatus =>
  (pass, record, report) =>
    tracer.span('status.write', { attempt: record.attempt }, async (span) => {
      const outcome = await write(pass, record, report)
      span.set({ result: outcome.tag })
      return outcome
    })
