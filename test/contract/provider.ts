// What every credential provider must do, whatever its source. Each provider's own test runs this suite over a world of its own.

import { afterEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { reasons } from '../../src/api/reasons.ts'
import { asUid, toTaskKey } from '../../src/core/names.ts'
import { at, type Duration, milliseconds, plus, seconds } from '../../src/lib/instant.ts'
import type { Result } from '../../src/lib/result.ts'
import type { CredentialRequest, Failure, Issued, Lease, Order, Provider, Reservation, Unrevoked } from '../../src/ports/provider.ts'
import { value } from '../providers/rows.ts'

/** A provider with a source that the suite can look at and break. */
export interface ProviderWorld<Params> {
  readonly provider: Provider<Params>
  readonly params: Params
  /** an order that the provider takes, with scopes, and an audience if it knows any, that its params list */
  order(change?: Partial<Order>): Order
  /** lets the operator record a reservation on its task, as happens before every issue; where the provider reserves anything */
  record?(order: Order, reservation: Reservation): void
  /** a row of the ledger with a handle that was never used; where what is issued exists outside */
  lease?(): Lease
  /** the row with what was noted in it; where a source does not call things by their handle */
  noted?(lease: Lease): Lease
  /** fields that are no secret, such as a name; every other one is */
  readonly plain?: readonly string[]
  /** whether the source accepts these fields now; a source of class ExpireOnly accepts until expiry */
  accepts(issued: Issued): Promise<boolean>
  /** lets every call to the source fail with an error whose text holds the canary */
  breakSource(canary: string): void
  /** called after the test */
  close?(): unknown
}

const ignored = new Set(['Allowed'])

/** Runs the suite. @param create called for each test */
export function describeProvider<Params>(name: string, create: () => Promise<ProviderWorld<Params>>): void {
  const worlds: ProviderWorld<Params>[] = []
  async function makeWorld(): Promise<ProviderWorld<Params>> {
    const world = await create()
    worlds.push(world)
    return world
  }
  /** What is recorded before an issue: the provider's part, and the ledger's. */
  function reserve(world: ProviderWorld<Params>, order?: Order): Reservation {
    const reservation = { ...value(world.provider.reserve(world.params)), ...(world.lease === undefined ? {} : { lease: world.lease() }) }
    if (order !== undefined) world.record?.(order, reservation)
    return reservation
  }
  async function issued(world: ProviderWorld<Params>, change: Partial<Order> = {}) {
    const order = world.order(change)
    const reservation = reserve(world, order)
    return { order, reservation, result: value(await world.provider.issue(world.params, order, reservation)) }
  }
  const request = (order: Order, change: Partial<CredentialRequest> = {}): CredentialRequest => ({
    name: order.credential,
    audience: order.audience,
    scopes: order.scopes,
    github: order.github,
    ttl: milliseconds(order.expiresAt - order.issuedAt),
    ...change,
  })
  /** Where nobody can end it before its time, that is all there is to know: not for longer than was promised. */
  function settled(world: ProviderWorld<Params>, answer: Result<undefined, Unrevoked>): Result<undefined, Unrevoked> {
    if (answer.ok || answer.failure.until === undefined) return answer
    const { revocation, bound } = world.provider.promises(world.params)
    expect([revocation, answer.failure.reason]).toEqual(['ExpireOnly', 'ExpiresAt'])
    expect(answer.failure.until - Date.now()).toBeLessThanOrEqual(bound + 2000)
    return { ok: true, value: undefined }
  }
  const bytesOf = (result: Issued) => Object.values(result.fields).map((field) => new TextDecoder().decode(field.reveal()))

  describe(`the provider ${name}`, () => {
    afterEach(async () => {
      for (const world of worlds.splice(0)) await world.close?.()
    })

    test('says what it promises from its spec alone, and is ready with it', async () => {
      const { provider, params } = await makeWorld()
      const promises = provider.promises(params)
      expect(provider.promises(structuredClone(params))).toEqual(promises)
      expect(promises.minTtl).toBeGreaterThan(0)
      expect(promises.maxTtl).toBeGreaterThanOrEqual(promises.minTtl)
      expect(promises.bound).toBeGreaterThan(0)
      if (promises.revocation === 'ExpireOnly') expect(promises.bound).toBeGreaterThanOrEqual(promises.maxTtl)
      expect(await provider.ready(params)).toEqual({ ok: true, value: undefined })
    })

    test('issues what its source accepts, with non-empty fields and an expiry no later than ordered', async () => {
      const world = await makeWorld()
      const { order, result } = await issued(world)
      expect(bytesOf(result).length).toBeGreaterThan(0)
      for (const bytes of bytesOf(result)) expect(bytes.length).toBeGreaterThan(0)
      for (const field of Object.keys(result.fields)) expect(field).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/)
      expect(result.expiresAt).toBeLessThanOrEqual(order.expiresAt)
      expect(result.expiresAt).toBeGreaterThan(order.issuedAt)
      expect(await world.accepts(result)).toBe(true)
    })

    test('never issues beyond its own ceiling, whatever is ordered', async () => {
      const world = await makeWorld()
      const { maxTtl } = world.provider.promises(world.params)
      const { order, result } = await issued(world, { expiresAt: plus(world.order().issuedAt, seconds(365 * 24 * 3600)) })
      expect(result.expiresAt - order.issuedAt).toBeLessThanOrEqual(maxTtl)
    })

    test('issues nothing that is dead on arrival', async () => {
      const world = await makeWorld()
      const order = world.order({ expiresAt: world.order().issuedAt })
      const reservation = reserve(world, order)
      expect((await world.provider.issue(world.params, order, reservation)).ok).toBe(false)
    })

    test('renews under the same reservation; both live until revocation, and neither after it where the class says so', async () => {
      const world = await makeWorld()
      const { order, reservation, result } = await issued(world)
      const before = structuredClone(reservation)
      const renewed = value(
        await world.provider.renew(world.params, { ...order, expiresAt: plus(order.expiresAt, seconds(60)) }, reservation),
      )
      expect(reservation).toEqual(before)
      expect(await world.accepts(renewed)).toBe(true)
      // prolonged in place it stays the same; a successor never does
      const kept = world.provider.outside?.renewal === 'InPlace'
      expect(bytesOf(renewed).join() === bytesOf(result).join()).toBe(kept)
      expect(await world.accepts(result)).toBe(true)
      expect(settled(world, await world.provider.revoke(world.params, reservation))).toEqual({ ok: true, value: undefined })
      const dead = world.provider.promises(world.params).revocation !== 'ExpireOnly'
      expect(await world.accepts(result)).toBe(!dead)
      expect(await world.accepts(renewed)).toBe(!dead)
    })

    test('revokes again what is revoked, and what was never issued; without its object where nothing is outside', async () => {
      const world = await makeWorld()
      const { reservation } = await issued(world)
      const done = { ok: true, value: undefined }
      expect(settled(world, await world.provider.revoke(world.params, reservation))).toEqual(done)
      expect(settled(world, await world.provider.revoke(world.params, reservation))).toEqual(done)
      expect(await world.provider.revoke(world.params, reserve(world))).toEqual(done)
      expect(await world.provider.revoke(world.params, {})).toEqual(done)
      expect((await world.provider.revoke(undefined, reservation)).ok).toBe(world.provider.outside === undefined)
      expect(await world.provider.revoke(undefined, {})).toEqual(done)
    })

    test('outside, shows every handle with the prefix until it is cleaned, where it can be asked, cleans again what is clean, and sends nothing too late', async () => {
      const world = await makeWorld()
      const { outside } = world.provider
      if (outside === undefined) return
      const { order, reservation } = await issued(world)
      const handle = reservation.lease?.handle ?? ''
      const prefix = handle.slice(0, 12)
      const done = { ok: true, value: undefined }
      const listable = value(await outside.list(world.params, prefix)) !== undefined
      const listed = async () => value(await outside.list(world.params, prefix)) ?? []
      expect((await listed()).includes(handle)).toBe(listable)
      await world.provider.revoke(world.params, reservation)
      expect((await listed()).includes(handle)).toBe(listable)
      expect(await outside.clean(world.params, { handle, effectBy: at(0) })).toEqual(done)
      expect(await outside.clean(world.params, { handle, effectBy: at(0) })).toEqual(done)
      expect(await listed()).not.toContain(handle)
      const late = reserve(world)
      for (const change of [{ deadline: 0 }, { deadline: Number.NEGATIVE_INFINITY }]) {
        expect((await world.provider.issue(world.params, { ...order, ...change }, late)).ok).toBe(false)
        expect((await world.provider.renew(world.params, { ...order, ...change }, late)).ok).toBe(false)
      }
      expect(await listed()).not.toContain(late.lease?.handle)
    })

    test('outside, tells what lives from what was ended where it can, and concludes nothing from a source that is broken', async () => {
      const world = await makeWorld()
      const { inspection } = world.provider.outside ?? {}
      if (inspection === undefined) return
      const [one, other] = [await issued(world), await issued(world)]
      const look = () => {
        const leases = [one, other].flatMap(({ reservation: { lease } }) => (lease === undefined ? [] : [world.noted?.(lease) ?? lease]))
        return inspection.look(world.params, leases)
      }
      expect(inspection.batch).toBeGreaterThan(1)
      expect(await look()).toEqual(['Alive', 'Alive'])
      expect(await inspection.look(world.params, [])).toEqual([])
      await world.provider.revoke(world.params, one.reservation)
      expect(await look()).toEqual(['Dead', 'Alive'])
      world.breakSource('canary-5b0c1d')
      expect(await look()).toEqual(['Unknown', 'Unknown'])
    })

    test('outside, issues nothing without a row, nor twice under one, and neither issues nor ends under another installation\u2019s handle', async () => {
      const world = await makeWorld()
      if (world.provider.outside === undefined) return
      const { order, reservation, result } = await issued(world)
      const { lease } = reservation
      expect((await world.provider.issue(world.params, order, reservation)).ok).toBe(false)
      expect(await world.accepts(result)).toBe(true)
      expect((await world.provider.issue(world.params, order, {})).ok).toBe(false)
      for (const handle of ['', 'postgres', `x${lease?.handle.slice(1)}`, `${lease?.handle}a`, `${lease?.handle.slice(0, -1)}"`]) {
        const foreign = { lease: { effectBy: plus(order.issuedAt, seconds(30)), ...lease, handle } }
        expect([handle, (await world.provider.issue(world.params, order, foreign)).ok]).toEqual([handle, false])
        expect([handle, (await world.provider.renew(world.params, order, foreign)).ok]).toEqual([handle, false])
        expect([handle, (await world.provider.revoke(world.params, foreign)).ok]).toEqual([handle, false])
        expect([handle, (await world.provider.outside.clean(world.params, foreign.lease)).ok]).toEqual([handle, false])
      }
    })

    test('issues nothing under a reservation that was revoked, where the class says that revoked is dead', async () => {
      const world = await makeWorld()
      if (world.provider.promises(world.params).revocation === 'ExpireOnly') return
      const order = world.order()
      const reservation = reserve(world, order)
      await world.provider.revoke(world.params, reservation)
      const late = await world.provider.issue(world.params, order, reservation)
      expect(late.ok && (await world.accepts(late.value))).toBe(false)
    })

    test('takes a request that it lists', async () => {
      const { provider, params, order } = await makeWorld()
      expect(provider.check(params, request(order()))).toBeUndefined()
    })

    test('refuses an audience or a scope that it does not list, at the check and again at the issue', async () => {
      const world = await makeWorld()
      const { audience, scopes } = world.order()
      const hostile: Partial<Pick<Order, 'audience' | 'scopes'>>[] = [
        ...['', `${audience}/`, `${audience} `, `${audience}`.toUpperCase(), '*', '__proto__'].map((other) => ({ audience: other })),
        ...['', '*', 'admin', `${scopes[0]} admin`, '__proto__', 'constructor'].map((scope) => ({ scopes: [...scopes, scope] })),
      ]
      for (const change of hostile) {
        const order = world.order(change)
        expect([change, world.provider.check(world.params, request(order))?.reason]).toEqual([change, expect.stringMatching(/NotListed$/)])
        const reservation = reserve(world, order)
        expect([change, (await world.provider.issue(world.params, order, reservation)).ok]).toEqual([change, false])
        expect([change, (await world.provider.renew(world.params, order, reservation)).ok]).toEqual([change, false])
      }
    })

    test('refuses a life outside of what it promises, and takes the ends of the range', async () => {
      const { provider, params, order } = await makeWorld()
      const { minTtl, maxTtl } = provider.promises(params)
      const judged = (ttl: number) => provider.check(params, request(order(), { ttl: ttl as Duration }))?.reason
      expect([minTtl, maxTtl].map(judged)).toEqual([undefined, undefined])
      expect([minTtl - 1000, maxTtl + 1000, 0, -1].map(judged)).toEqual(Array(4).fill('TtlOutOfRange'))
    })

    test('says no in documented words that name the credential and end without a full stop', async () => {
      const { provider, params, order } = await makeWorld()
      const failure = provider.check(params, request(order(), { audience: 'https://not-listed.example' }))
      expect(Object.keys(reasons)).toContain(failure?.reason)
      expect(ignored.has(failure?.reason ?? '')).toBe(false)
      expect(failure?.message).toContain(order().credential)
      expect(failure?.message).not.toMatch(/\.$/)
    })

    test('shows nothing of an error of its source, and throws nothing', async () => {
      const world = await makeWorld()
      const { order, reservation, result } = await issued(world)
      const canary = 'canary-5b0c1d'
      world.breakSource(canary)
      const answers: Result<unknown, Failure>[] = [
        await world.provider.issue(world.params, order, reservation),
        await world.provider.renew(world.params, order, reservation),
        await world.provider.revoke(world.params, reservation),
        await world.provider.ready(world.params),
      ]
      const shown = JSON.stringify(answers)
      expect(answers.some((answer) => !answer.ok)).toBe(true)
      expect(shown).not.toContain(canary)
      const secrets = Object.entries(result.fields).filter(([field]) => world.plain?.includes(field) !== true)
      expect(secrets.length).toBeGreaterThan(0)
      for (const [, field] of secrets) expect(shown).not.toContain(new TextDecoder().decode(field.reveal()))
    })

    test('prints no material by accident', async () => {
      const { result } = await issued(await makeWorld())
      for (const bytes of bytesOf(result)) {
        for (const shown of [JSON.stringify(result), String(Object.values(result.fields)), JSON.stringify({ ...result.fields })]) {
          expect(shown).not.toContain(bytes)
        }
      }
    })

    test('neither throws nor issues to another subject for hostile names', async () => {
      const world = await makeWorld()
      const part = fc.oneof(
        fc.string({ unit: 'binary', maxLength: 300 }),
        fc.constantFrom('..', '/', 'a/../b', '%2e', "';--", '{{.}}', '\n'),
      )
      await fc.assert(
        fc.asyncProperty(part, part, part, part, async (namespace, task, agent, action) => {
          const order = world.order({ task: toTaskKey(namespace, task), agent, action, taskUid: asUid(task), requestedBy: action })
          const reservation = reserve(world, order)
          const answer = await world.provider.issue(world.params, order, reservation)
          if (answer.ok) expect(await world.accepts(answer.value)).toBe(true)
          else expect(Object.keys(reasons)).toContain(answer.failure.reason)
        }),
        { numRuns: 100 },
      )
    })
  })
}
