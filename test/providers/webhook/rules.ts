// The rules of docs/reference/webhook.openapi.yaml by which nothing is left alive, asked of a service by what it does. Run against the
// reference server by its own test, and against anybody's by `npm run conformance`.

import { describe, expect, test } from '@jest/globals'
import { at, plus, seconds } from '../../../src/lib/instant.ts'
import type { Logins } from '../../../src/ports/login.ts'
import type { Lease, Order, Provider } from '../../../src/ports/provider.ts'
import type { WebhookParams } from '../../../src/providers/webhook/params.ts'

export interface Service {
  readonly provider: Provider<WebhookParams>
  readonly params: WebhookParams
  readonly prefix: string
  readonly logins: Logins
  lease(change?: Partial<Lease>): Lease
  order(change?: Partial<Order>): Order
  /** One call with a login of the caller's choice: the status and the answer. */
  call(name: string, login: string, body: object): Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }>
}

const done = { ok: true, value: undefined }

/** What `issue` is asked with. */
function asked(order: Order, lease: Lease): object {
  const [namespace, name] = order.task.split('/')
  return {
    handle: lease.handle,
    effectBy: new Date(lease.effectBy).toISOString(),
    expiresAt: new Date(order.expiresAt).toISOString(),
    credential: order.credential,
    scopes: order.scopes,
    agent: order.agent,
    action: order.action,
    task: { namespace, name, uid: order.taskUid, attempt: order.attempt },
  }
}

export function describeRules(name: string, service: () => Promise<Service>): void {
  async function token(login: ReturnType<Logins['operator']>): Promise<string> {
    const made = await login
    if (!made.ok) throw new Error(made.failure)
    return new TextDecoder().decode(made.value.reveal())
  }
  const stateOf = async ({ logins, params, call }: Service, handle: string): Promise<unknown> =>
    (await call('inspect', await token(logins.operator(params.audience)), { handle })).body['state']

  describe(`the service ${name}`, () => {
    test('1. a handle is used once', async () => {
      const one = await service()
      const [order, lease] = [one.order(), one.lease()]
      expect(await one.provider.issue(one.params, order, { lease })).toMatchObject({ ok: true })
      const login = await token(one.logins.task(order, one.params.audience))
      expect((await one.call('issue', login, asked(order, lease))).status).toBe(409)
      expect(await stateOf(one, lease.handle)).toBe('Live')
      expect(await one.provider.revoke(one.params, { lease })).toEqual(done)
      expect((await one.call('issue', await token(one.logins.task(order, one.params.audience)), asked(order, lease))).status).toBe(409)
      expect(await stateOf(one, lease.handle)).toBe('Revoked')
    })

    test('1. nothing is made or prolonged after `effectBy`', async () => {
      const one = await service()
      const order = one.order()
      const late = one.lease({ effectBy: at(Date.now() - 1000) })
      const login = () => token(one.logins.task(order, one.params.audience))
      expect((await one.call('issue', await login(), asked(order, late))).status).toBe(410)
      expect(await stateOf(one, late.handle)).not.toBe('Live')
      const lease = one.lease()
      expect(await one.provider.issue(one.params, order, { lease })).toMatchObject({ ok: true })
      expect((await one.call('renew', await login(), asked(order, { ...lease, effectBy: late.effectBy }))).status).toBe(410)
      expect(await one.provider.revoke(one.params, { lease })).toEqual(done)
    })

    test('2. a handle that it does not know is used once it was revoked', async () => {
      const one = await service()
      const [order, lease] = [one.order(), one.lease()]
      expect(await stateOf(one, lease.handle)).toBe('Unknown')
      expect(await one.provider.revoke(one.params, { lease })).toEqual(done)
      expect((await one.call('issue', await token(one.logins.task(order, one.params.audience)), asked(order, lease))).status).toBe(409)
      expect(await stateOf(one, lease.handle)).toBe('Revoked')
    })

    test('3. what is dead is not prolonged', async () => {
      const one = await service()
      const [order, lease] = [one.order(), one.lease()]
      expect(await one.provider.issue(one.params, order, { lease })).toMatchObject({ ok: true })
      expect(await one.provider.revoke(one.params, { lease })).toEqual(done)
      expect((await one.call('renew', await token(one.logins.task(order, one.params.audience)), asked(order, lease))).status).toBe(409)
      expect(await stateOf(one, lease.handle)).toBe('Revoked')
    })

    test('4. nothing is forgotten before `notBefore`, nor while it is alive', async () => {
      const one = await service()
      const [order, lease] = [one.order(), one.lease({ effectBy: plus(at(Date.now()), seconds(30)) })]
      expect(await one.provider.issue(one.params, order, { lease })).toMatchObject({ ok: true })
      expect(await one.provider.outside?.clean(one.params, { ...lease, effectBy: at(0) })).toMatchObject({ ok: false })
      expect(await stateOf(one, lease.handle)).toBe('Live')
      expect(await one.provider.revoke(one.params, { lease })).toEqual(done)
      expect(await one.provider.outside?.clean(one.params, lease)).toMatchObject({ ok: false })
      expect(await stateOf(one, lease.handle)).toBe('Revoked')
      expect(await one.provider.outside?.clean(one.params, { ...lease, effectBy: at(0) })).toEqual(done)
    })

    test('5. every handle is listed, dead ones too, and those of no other prefix', async () => {
      const one = await service()
      const [dead, live] = [one.lease(), one.lease()]
      expect(await one.provider.issue(one.params, one.order(), { lease: live })).toMatchObject({ ok: true })
      expect(await one.provider.revoke(one.params, { lease: dead })).toEqual(done)
      const login = await token(one.logins.operator(one.params.audience))
      const { body } = await one.call('list', login, { prefix: one.prefix })
      expect([...(body['handles'] as string[])].sort()).toEqual([dead.handle, live.handle].sort())
      expect(await one.provider.revoke(one.params, { lease: live })).toEqual(done)
    })

    test('logins are held apart: of the task for what it asks for, of the operator for the rest, and none that is not ours', async () => {
      const one = await service()
      const [order, lease, { audience }] = [one.order(), one.lease(), one.params]
      expect(await one.provider.issue(one.params, order, { lease })).toMatchObject({ ok: true })
      const [task, operator] = [() => token(one.logins.task(order, audience)), () => token(one.logins.operator(audience))]
      const other = { ...order, taskUid: 'ffffffff-2222-4333-8444-555555555555' as Order['taskUid'] }
      for (const call of ['revoke', 'inspect', 'forget', 'list', 'ready'])
        expect([
          call,
          (await one.call(call, await task(), { handle: lease.handle, prefix: '', notBefore: '2001-01-01T00:00:00Z' })).status,
        ]).toEqual([call, 403])
      expect((await one.call('issue', await operator(), asked(order, one.lease()))).status).toBe(403)
      expect((await one.call('renew', await token(one.logins.task(other, audience)), asked(order, lease))).status).toBe(403)
      const forged = `${(await operator()).split('.').slice(0, 2).join('.')}.${'A'.repeat(86)}`
      for (const login of ['', 'x', forged, await token(one.logins.operator(`${audience}/other`))])
        expect((await one.call('revoke', login, { handle: lease.handle })).status).toBe(401)
      expect(await stateOf(one, lease.handle)).toBe('Live')
      expect(await one.provider.revoke(one.params, { lease })).toEqual(done)
    })
  })
}
