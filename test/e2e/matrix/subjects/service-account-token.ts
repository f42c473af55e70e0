// `serviceAccountToken`: tokens of the real API server, which reviews one for whoever is shown it.

import { digest } from '../../support/scenario.ts'
import { createTokened } from '../../support/tokened.ts'
import { beside, dying, noted, outside } from '../points.ts'
import type { Fields, SubjectType } from '../subject.ts'

const anchor = /\.anchor$/
const tokenOf = (fields: Fields): string => fields['api'] ?? ''
const asked = (step: 'issue' | 'renew') => [
  beside(step, 'the TokenRequest', /\/token$/, anchor),
  beside(step, 'the review of the token', /\/tokenreviews$/, anchor),
]

export const serviceAccountToken: SubjectType = {
  points: outside(
    [
      beside('issue', 'the anchor', /^POST .*\/secrets$/, anchor),
      noted('issue', 'the note of the anchor', 1),
      ...asked('issue'),
      ...asked('renew'),
      beside('end', 'the deletion of the anchor', /^DELETE .*\/secrets\//, anchor),
      dying('the row that says until when'),
    ],
    2,
  ),
  async start({ scenario, requested }) {
    const tokened = await createTokened(scenario)
    await tokened.optIn(scenario.namespace)
    const { gitVersion } = (await scenario.kube.must('GET', '/version')) as { readonly gitVersion: string }
    const takes = async (token: string) => (await tokened.review(token, tokened.audience)).authenticated === true
    const refused = new Set<string>()
    return {
      provider: tokened.provider,
      server: `the API server of Kubernetes ${gitVersion.replace(/^v/, '')}, by a TokenReview with the audience; it remembers for ten seconds that a token was good`,
      credential: tokened.credential,
      // each end takes those ten seconds, and a review is dear to what else is measured
      atMost: 10,
      pauseMs: 50,
      renewal: 'Successor',
      // each token that was ever made is shown; one that was refused once is bound to what is gone
      async alive() {
        const shown = [...requested().keys()].filter((token) => !refused.has(token))
        for (const token of shown) if (!(await takes(token))) refused.add(token)
        return shown.filter((token) => !refused.has(token)).map(digest)
      },
      idOf: (fields) => digest(tokenOf(fields)),
      works: (fields) => takes(tokenOf(fields)),
      // one that arrives late stays empty, and goes with its task
      async leftovers() {
        const bound = [...requested().values()]
        return (await tokened.anchors()).filter((name) => bound.includes(name))
      },
      close: tokened.close,
    }
  },
}
