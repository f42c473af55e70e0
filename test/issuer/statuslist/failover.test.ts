import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { makeKeyring } from '../world.ts'
import { type Command, type Life, play, type Seen } from './failover.ts'

const keyring = await makeKeyring()
/** What the provider promises of an access token. */
const bound = 75_000

const replica = fc.nat(1)
const task = fc.nat(3)
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('ask' as const), replica, list: fc.nat(5) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('step' as const), replica }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('lead' as const), replica }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('issue' as const), replica, task }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), for: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'crash' as const, 'retire' as const), replica }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('resume' as const), replica }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), task }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('finish' as const), replica, task }) },
  { weight: 1, arbitrary: fc.constantFrom<Command>({ do: 'hold' }, { do: 'release' }) },
)
/** A leader to start from; otherwise most runs would be about nothing. */
const prelude: readonly Command[] = [1, 2, 3].map(() => ({ do: 'lead', replica: 0 }))
const issueOne: readonly Command[] = [{ do: 'issue', replica: 0, task: 0 }, ...[1, 2, 3].map(() => ({ do: 'step', replica: 0 }) as const)]

const revoked = (seen: Seen, { ref }: Life): boolean =>
  seen.bits === 'unknown' || (((seen.bits[ref.index >> 3] as number) >> (ref.index & 7)) & 1) === 1
const end = (life: Life) => life.until ?? Number.POSITIVE_INFINITY

function judge(lives: readonly Life[], seen: readonly Seen[]): { dead: number; live: number } {
  const counts = { dead: 0, live: 0 }
  for (const life of lives) {
    for (const answer of seen.filter(({ uri }) => uri === life.ref.uri)) {
      if (revoked(answer, life)) {
        // A verifier may have fetched it before the token was delivered and go by it until after.
        const refused = answer.at < end(life) && answer.until > life.from
        if (refused) throw new Error(`a live token reads revoked: ${JSON.stringify({ life, answer: { ...answer, bits: undefined } })}`)
        counts.dead += 1
      } else {
        if (answer.until > end(life) + bound) throw new Error(`a dead token reads valid: ${JSON.stringify({ life, at: answer.at })}`)
        counts.live += 1
      }
    }
  }
  return counts
}

describe('whatever replicas pause, crash and take over', () => {
  test('a dead token reads valid no longer than promised, and a delivered live one never reads revoked', async () => {
    const total = { dead: 0, live: 0, lives: 0 }
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 120, size: 'max' }), async (commands) => {
        const { lives, seen } = await play([...prelude, ...issueOne, ...commands], keyring)
        const { dead, live } = judge(lives, seen)
        total.dead += dead
        total.live += live
        total.lives += lives.length
      }),
      { numRuns: 400 },
    )
    // The property is about something: many tokens lived, and both answers were seen often.
    expect(total.lives).toBeGreaterThan(400)
    expect(total.dead).toBeGreaterThan(100)
    expect(total.live).toBeGreaterThan(400)
  }, 60_000)

  const askBoth: readonly Command[] = [0, 1].map((index) => ({ do: 'ask', replica: index, list: 0 }))
  const takeOver: readonly Command[] = [1, 2, 3].map(() => ({ do: 'lead', replica: 1 }))

  test('the token of a task that ended while nobody led reads revoked after the takeover', async () => {
    const { lives, seen } = await play(
      [
        ...prelude,
        ...issueOne,
        ...askBoth,
        { do: 'crash', replica: 0 },
        { do: 'delete', task: 0 },
        { do: 'wait', for: 20 },
        ...takeOver,
        ...askBoth,
      ],
      keyring,
    )
    expect(seen.map((answer) => revoked(answer, lives[0] as Life))).toEqual([false, false, true, true])
  })

  test('the token of a living task stays valid across the takeover', async () => {
    const { lives, seen } = await play(
      [...prelude, ...issueOne, { do: 'crash', replica: 0 }, { do: 'wait', for: 20 }, ...takeOver, ...askBoth],
      keyring,
    )
    expect(seen.map((answer) => revoked(answer, lives[0] as Life))).toEqual([false, false])
  })

  test('a leader that slept through its lease between status and Secret delivers nothing', async () => {
    const slept: readonly Command[] = [
      ...prelude,
      ...issueOne.slice(0, 2),
      { do: 'pause', replica: 0 },
      { do: 'wait', for: 20 },
      ...takeOver,
      { do: 'resume', replica: 0 },
      { do: 'step', replica: 0 },
      { do: 'step', replica: 0 },
    ]
    expect((await play(slept, keyring)).lives).toEqual([])
  })
})
