// Issue and Renew: makes every credential of a set, judges once more, and writes the Secret. The only place where material is held.

import { judge, questions } from '../../core/judge.ts'
import { asUid, providerKey } from '../../core/names.ts'
import type { CredentialRecord, Failure } from '../../core/observed.ts'
import type { Effect, IssueOrder, Outcome } from '../../core/plan.ts'
import { stand } from '../../core/standing.ts'
import type { Instant } from '../../lib/instant.ts'
import { milliseconds, plus } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Meter } from '../../ports/meter.ts'
import type { FindProvider, Issued, Order, Provider, Reservation } from '../../ports/provider.ts'
import type { Tracer } from '../../ports/tracer.ts'
import type { Gather } from '../gather.ts'
import type { Bulkhead } from '../ledger/bulkhead.ts'
import type { Health } from '../ledger/health.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { ProviderObject } from '../objects/kinds.ts'
import type { Views } from '../views.ts'
import type { Pass } from './pass.ts'
import { createOrReplace, placeOf, type Refusal, replace, type SecretWriter, secretData, secretObject } from './secret.ts'

export interface IssueDeps extends SecretWriter {
  readonly views: Views
  readonly gather: Gather
  readonly findProvider: FindProvider
  readonly clock: Clock
  readonly meter: Pick<Meter, 'issued' | 'renewed'>
  /** lets no more calls to one provider be under way than it may take of the workers */
  readonly bulkhead: Bulkhead
  readonly health: Health
  readonly tracer: Pick<Tracer, 'span'>
  readonly ledger: Pick<Ledger, 'note' | 'noted' | 'keeping'>
}

export async function issue(deps: IssueDeps, pass: Pass, effect: Extract<Effect, { tag: 'Issue' | 'Renew' }>): Promise<Outcome> {
  const { task } = pass.observed
  const made: Record<string, Issued> = {}
  for (const order of effect.orders) {
    const { name: credential, provider } = order
    const name = effect.tag === 'Issue' ? 'credential.issue' : 'credential.renew'
    const issued = await deps.tracer.span(
      name,
      { credential, provider: providerKey(provider, task.namespace), attempt: effect.attempt },
      async (span) => {
        const result = await make(deps, pass, effect, order)
        if (!result.ok) span.failed(result.failure.reason)
        return result
      },
    )
    if (!issued.ok) return { tag: 'retry', failure: issued.failure }
    made[order.name] = issued.value
  }
  if (!(await stillAllowed(deps, pass))) return { tag: 'denied' }
  const object = secretObject(task, effect.attempt, secretData(task, made))
  const write = effect.tag === 'Issue' ? createOrReplace : replace
  const written = await deps.tracer.span('secret.write', { attempt: effect.attempt }, async (span) => {
    const result = await write(deps, placeOf(task), object)
    if (!result.ok) span.set({ result: result.failure.kind })
    return result
  })
  if (!written.ok) return outcomeOf(effect, written.failure)
  const { uid, resourceVersion } = written.value.metadata
  pass.written = { uid, resourceVersion }
  const expiries = Object.fromEntries(Object.entries(made).map(([name, { expiresAt }]): [string, Instant] => [name, expiresAt]))
  return { tag: 'done', fact: { of: effect.tag, secretUid: asUid(uid), expiries } }
}

async function make(
  deps: IssueDeps,
  pass: Pass,
  effect: Extract<Effect, { tag: 'Issue' | 'Renew' }>,
  wanted: IssueOrder,
): Promise<Result<Issued, Failure>> {
  const object = deps.views.providers.get(providerKey(wanted.provider, pass.observed.task.namespace))
  const provider = object === undefined ? undefined : deps.findProvider(object.type, object.kind)
  if (object === undefined || provider === undefined || object.uid !== wanted.provider.uid)
    return fail({
      reason: 'ProviderNotFound',
      message: `credential \`${wanted.name}\`: provider \`${wanted.provider.name}\` is gone or was replaced`,
    })
  const recorded = pass.stored.record.credentials.find((c) => c.name === wanted.name)
  const started = deps.clock.monotonic()
  const call = async (): Promise<Result<Issued, Failure>> => {
    const permit = permission(deps, pass, effect, wanted, provider, object.params)
    if (!permit.ok) return permit
    const { deadline, reservation } = permit.value
    const made = order(deps, pass, effect, wanted, deadline)
    return effect.tag === 'Issue'
      ? provider.issue(object.params, made, { ...statusListOf(recorded), ...reservation })
      : provider.renew(object.params, made, { ...statusListOf(recorded), ...reservation })
  }
  const issued = provider.outside === undefined ? await call() : ((await entered(deps, object, call)) ?? fail(crowded(wanted)))
  const took = milliseconds(deps.clock.monotonic() - started)
  deps.meter[effect.tag === 'Issue' ? 'issued' : 'renewed'](object.key, issued.ok ? 'success' : 'failure', took)
  if (!issued.ok) return issued
  if (issued.value.expiresAt > wanted.expiresAt)
    return fail({
      reason: 'IssueFailed',
      message: `credential \`${wanted.name}\`: provider \`${wanted.provider.name}\` gave a longer life than was ordered`,
    })
  return ok(issued.value)
}

/** Sources that a namespace names share one place among them: it may name many, and all may be slow. */
function entered<T, F>({ bulkhead, health }: IssueDeps, object: ProviderObject, call: () => Promise<Result<T, F>>) {
  const enter = () => bulkhead(object.uid, () => health.run(object, call))
  return object.kind === 'CredentialProvider' ? bulkhead(`namespace ${object.namespace}`, enter) : enter()
}

const statusListOf = (recorded: CredentialRecord | undefined): Reservation =>
  recorded?.statusList === undefined ? {} : { statusList: recorded.statusList }

const crowded = ({ name, provider }: IssueOrder): Failure => ({
  reason: 'ProviderNotReady',
  message: `credential \`${name}\`: too many calls to provider \`${provider.name}\` are under way`,
})

/** What must stand before a source outside is asked: a row of its own for a new credential; a renewal prolongs what has one. */
function permission(
  deps: IssueDeps,
  pass: Pass,
  effect: Extract<Effect, { tag: 'Issue' | 'Renew' }>,
  wanted: IssueOrder,
  provider: Provider<unknown>,
  params: unknown,
): Result<{ readonly deadline: number; readonly reservation: Reservation }, Failure> {
  if (provider.outside === undefined) return ok({ deadline: Number.POSITIVE_INFINITY, reservation: {} })
  const { note, noted, keeping } = deps.ledger
  if (effect.tag === 'Issue') {
    const intended = pass.rows?.get(wanted.name)
    if (intended === undefined) return fail({ reason: 'IssueFailed', message: `credential \`${wanted.name}\` has no row in the ledger` })
    if (!intended.ok) return intended
    const { handle, effectBy, deadline } = intended.value
    const record = (reference: string) => note(handle, reference)
    return ok({ deadline, reservation: { lease: { handle, effectBy }, record, ...keeping(provider, params, handle) } })
  }
  const handle = pass.stored.record.credentials.find((c) => c.name === wanted.name)?.handle
  if (handle === undefined) return fail({ reason: 'IssueFailed', message: `credential \`${wanted.name}\` has no row in the ledger` })
  const deadline = deps.clock.monotonic() + renewalTime
  const reference = noted(handle)
  const lease = { handle, effectBy: plus(deps.clock.now(), milliseconds(renewalTime)), ...(reference === undefined ? {} : { reference }) }
  const record = (next: string) => note(handle, next)
  return ok({ deadline, reservation: { lease, record, ...keeping(provider, params, handle) } })
}

/** Within the term of a leader that has just shown that it leads. */
const renewalTime = 10_000

function order(
  { views }: IssueDeps,
  { observed: { task }, stored }: Pass,
  { attempt, issuedAt }: { attempt: number; issuedAt: Instant },
  wanted: IssueOrder,
  deadline: number,
): Order {
  const { serviceAccount: serviceAccountUid } = stored.record.bound
  const spec = task.spec.credentials.find((c) => c.name === wanted.name)
  return {
    task: task.key,
    taskUid: task.uid,
    agent: task.spec.agent,
    serviceAccount: views.agents.get(`${task.namespace}/${task.spec.agent}`)?.serviceAccount ?? '',
    ...(serviceAccountUid === undefined ? {} : { serviceAccountUid }),
    action: task.spec.action,
    environment: views.namespaces.get(task.namespace)?.policyLabels['environment'],
    requestedBy: task.spec.requestedBy?.username,
    credential: wanted.name,
    audience: spec?.audience,
    scopes: spec?.scopes ?? [],
    github: spec?.github,
    attempt,
    issuedAt,
    expiresAt: wanted.expiresAt,
    deadline,
  }
}

/** Policy, suspension or the workload may have changed while the credentials were made: then they are not delivered. */
async function stillAllowed({ views, gather, clock }: IssueDeps, pass: Pass): Promise<boolean> {
  const task = views.tasks.get(pass.observed.task.key)
  if (task === undefined || task.uid !== pass.observed.task.uid) return false
  const now = clock.now()
  // the record as this pass wrote it: what the store shows may be older
  const observed = await gather({ ...task, record: pass.stored.record }, now)
  return stand(observed, judge(observed, questions(observed, now).standing), now).kind === 'clear'
}

function outcomeOf({ tag }: Pick<Effect, 'tag'>, refusal: Refusal): Outcome {
  switch (refusal.kind) {
    case 'behind':
      return { tag: 'behind' }
    case 'lost':
      return { tag: 'lost' }
    case 'foreign':
      return {
        tag: 'stalled',
        failure: {
          reason: 'SecretConflict',
          message: "a Secret with the name of the task's Secret exists and is not this task's; it is left untouched: delete or rename it",
        },
      }
    case 'absent':
      // a Secret that somebody deleted is made again by a new attempt, whose intent is recorded first
      if (tag === 'Renew') return { tag: 'absent' }
      return { tag: 'retry', failure: { reason: 'WriteFailed', message: 'the Secret vanished while it was written' } }
    default:
      return { tag: 'retry', failure: refusal.failure }
  }
}
