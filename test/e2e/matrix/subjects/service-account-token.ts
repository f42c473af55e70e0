// `serviceAccountToken`: tokens of the real API server, which reviews one for whoever is shown it.

import { createTokened } from '../../support/tokened.ts'
import type { SourceType } from '../subject.ts'

export const serviceAccountToken: SourceType = {
  async start({ scenario }) {
    const tokened = await createTokened(scenario)
    await tokened.optIn(scenario.namespace)
    const { gitVersion } = (await scenario.kube.must('GET', '/version')) as { readonly gitVersion: string }
    return {
      provider: tokened.provider,
      server: `the API server of Kubernetes ${gitVersion.replace(/^v/, '')}, by a TokenReview with the audience; it remembers for ten seconds that a token was good`,
      credential: tokened.credential,
      // each end takes those ten seconds, and a review is dear to what else is measured
      atMost: 10,
      pauseMs: 50,
      works: async (fields) => (await tokened.review(fields['api'] ?? '', tokened.audience)).authenticated === true,
      close: tokened.close,
    }
  },
}
