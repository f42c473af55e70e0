// A hostile source, one table for all of them: whatever it pretends, and whatever it answers instead of what it was asked for, nothing of it is
// delivered, believed or shown. What a transport may do beyond that is in test/outbound.

import { describe, expect, test } from '@jest/globals'
import { fail, ok } from '../../src/lib/result.ts'
import { type Lie, type Lived, live, orderOf, pretences, sources } from './outside.ts'

const canary = 'canary-71'
const answers: Readonly<Record<string, Lie>> = {
  'a page': () => ok({ status: 200, headers: { 'content-type': 'text/html' }, body: `<html>${canary}</html>` }),
  'a redirect to the link': () => ok({ status: 307, headers: { location: 'https://169.254.169.254/' }, body: canary }),
  'an error with a secret in it': () => ok({ status: 500, headers: {}, body: JSON.stringify({ errors: [canary], error: canary }) }),
  'an empty 404': () => ok({ status: 404, headers: {}, body: '' }),
  'a list': () => ok({ status: 200, headers: {}, body: `["${canary}"]` }),
  nothing: () => ok({ status: 200, headers: {}, body: '' }),
  'nested without end': () => ok({ status: 200, headers: {}, body: '['.repeat(200_000) }),
  'a gigabyte, which is cut off': () => fail({ sentence: 'its answer is longer than a megabyte', sent: true }),
  'a drip, which is not waited for': () => fail({ sentence: 'it does not answer in time', sent: true }),
}

const outcomes = ({ issued, renewed, revoked }: Lived) => [issued.ok, renewed.ok, revoked.ok]

describe.each(Object.entries(sources))('%s', (_type, { params, asks, lies, make }) => {
  const order = orderOf(asks(params))

  test.each(pretences)('does not get away with %s', async (pretence) => {
    const lie = lies[pretence]
    if (typeof lie === 'string') return expect(lie.length).toBeGreaterThan(20)
    const [honest, lied] = [await live(make(), params, order), await live(make(lie), params, order)]
    if (pretence !== 'a success that did nothing') return expect([honest.issued.ok, lied.issued.ok]).toEqual([true, false])
    return expect([honest.revoked.ok, lied.revoked.ok]).toEqual([true, false])
  })

  const isHttp = Object.values(lies).some((lie) => typeof lie !== 'string')
  test.each(Object.entries(isHttp ? answers : {}).concat(isHttp ? [] : [['nothing to answer with', () => undefined]]))(
    'is not believed when one call is answered with %s',
    async (_what, lie) => {
      const source = make()
      const honest = outcomes(await live(source, params, order))
      const calls = source.sent.calls.length
      for (let nth = 0; isHttp && nth < calls; nth += 1) {
        let count = 0
        const lied = await live(
          make((call, truth) => (count++ === nth ? lie(call, truth) : undefined)),
          params,
          order,
        )
        expect(JSON.stringify(lied)).not.toContain(canary)
        // nothing succeeds that did not when all was true
        for (const [i, fine] of outcomes(lied).entries()) expect([nth, fine && honest[i] !== true]).toEqual([nth, false])
      }
      // where every call is answered so, nothing is given, and nothing is taken for dead that was made
      if (!isHttp) return
      const deaf = await live(make(lie), params, order)
      expect([deaf.issued.ok, deaf.renewed.ok]).toEqual([false, false])
    },
  )
})
