// Interleavings that once went wrong and that chance finds too rarely: each is tried before the random ones.

import type { Command, Scenario } from './commands.ts'

const work = (replica: number, steps: number, choice = 0): Command => ({ do: 'work', replica, steps, choice })
const see = (replica: number, kind: 'all' | number): Command => ({ do: 'see', replica, kind, changes: 9 })
const policy = (issue: 'allow' | 'forbid' | 'invalidPolicy', renew = issue): Command => ({ do: 'policy', issue, renew, permitted: false })
const fault = (fate: 'lost' | 'dropped' | 'late'): Command => ({ do: 'fault', replica: 0, fate, choice: 0 })
const act = (what: Extract<Command, { do: 'act' }>['what']): Command => ({ do: 'act', what, task: 'a' })
const seize = (replica: number): Command => ({ do: 'seize', replica })

const scene = (...commands: readonly Command[]): Scenario => ({
  shapes: { a: { credentials: ['checked'], job: true, keep: undefined }, b: { credentials: ['checked'], job: true, keep: undefined } },
  commands,
})

const wait = (seconds: number): Command => ({ do: 'pass time', seconds })
const crash = (replica: number): Command => ({ do: 'crash', replica })

/** One task with one credential outside the cluster, and no workload. */
const outside = (...commands: readonly Command[]): Scenario => {
  const shape = { credentials: ['outside'], job: false, keep: undefined } as const
  return { shapes: { a: shape, b: shape }, commands }
}

/** With the replica that is left in the end. */
export const interleavings: readonly (readonly [Scenario, number])[] = [
  // a stop whose status write is lost to an edit that takes the stop back: the Secret is gone and the record says live
  [scene(work(0, 9), act('suspend'), see(0, 'all'), act('resume'), work(0, 9)), 0],
  // the answer of a renewal is lost and the Secret is deleted and made anew: it has another UID than the record knows
  [
    scene(
      work(0, 9),
      act('Secret is deleted by hand'),
      { do: 'pass time', seconds: 500 },
      work(0, 1),
      work(0, 1),
      fault('lost'),
      act('cancel'),
    ),
    0,
  ],
  // a leader whose jobs are older than what its successor bound takes the new job for a stranger
  [scene(act('job is replaced'), seize(1), work(1, 9), see(0, 0), work(0, 9)), 0],
  // the live read that should confirm that the job is gone gets no answer, and nothing else ever happens
  [scene(work(0, 9), act('job is deleted'), see(0, 'all'), work(0, 1), fault('dropped')), 0],
  // a report without an answer lands after the next pass found nothing to write
  [
    scene(
      policy('allow'),
      work(0, 9),
      policy('invalidPolicy'),
      see(0, 'all'),
      work(0, 1),
      fault('late'),
      policy('allow'),
      see(0, 'all'),
      work(0, 4),
      { do: 'land', choice: 0 },
      see(0, 'all'),
    ),
    0,
  ],
  // a leader that was followed by another overtakes the Secret of its successor while it withdraws
  [
    scene(
      work(0, 2),
      fault('lost'),
      work(0, 1),
      act('suspend'),
      see(0, 'all'),
      work(0, 3),
      act('resume'),
      seize(1),
      work(1, 9),
      work(0, 4),
    ),
    0,
  ],
  // a pass during which the renewal fell due
  [scene(work(0, 3), { do: 'pass time', seconds: 500 }, { do: 'jump', seconds: 400 }, work(0, 9)), 0],
  // a leader that was paused before it made the Secret makes it after its successor has ended the task
  [scene(work(0, 2), act('cancel'), seize(1), work(1, 9), work(0, 9)), 0],
  // a successor kills what an open intent may have made, while its maker records it as delivered, and dies before the row says so
  [outside(work(0, 4), work(0, 1), seize(1), work(0, 1), work(1, 1), work(1, 1, 2), work(1, 1), work(1, 1), crash(1)), 0],
  // a renewal under way when its credential expires: the row has it killed, the record says that it lives on, and the leader dies
  [outside(work(0, 7), wait(200), work(0, 2), wait(200), work(0, 1, 2), work(0, 1, 1), work(0, 1), work(0, 1), crash(0)), 1],
  // the same, and the leader lives: its row is closed
  [outside(work(0, 7), wait(200), work(0, 2), wait(200), work(0, 1, 2), work(0, 1), work(0, 1), work(0, 1)), 0],
  // the clock jumps ahead, so that what is left of a dead credential is removed while the call that makes it is still on its way
  [outside(work(0, 3), fault('late'), { do: 'jump', seconds: 400 }, work(0, 99), { do: 'land', choice: 0 }), 0],
]
