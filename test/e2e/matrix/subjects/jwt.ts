// `jwt`: there is no server but the issuer, so who relies on it is asked: by its keys and its status lists, fetched anew.

import { decodeJwt } from 'jose'
import { judge } from '../../support/scenario.ts'
import { inside } from '../points.ts'
import type { Fields, SubjectType } from '../subject.ts'

const tokenOf = (fields: Fields): string => fields['api'] ?? ''

/** Its place in a status list, which a renewed token shares with its predecessor. */
const place = (token: string): string => JSON.stringify(decodeJwt(token)['status'])

export const jwt: SubjectType = {
  points: inside,
  start: async ({ scenario, issuer, delivered }) => ({
    provider: scenario.name,
    server: 'the issuer, by a verifier that asks it for keys and status lists each time',
    credential: {},
    renewal: 'InPlace',
    async alive() {
      const tokens = delivered().map(tokenOf).filter(Boolean)
      const verdicts = await Promise.all(tokens.map((token) => judge(issuer, token)))
      return [...new Set(tokens.filter((_, i) => verdicts[i] === 'live').map(place))]
    },
    idOf: (fields) => place(tokenOf(fields)),
    works: async (fields) => (await judge(issuer, tokenOf(fields))) === 'live',
    close: async () => undefined,
  }),
}
