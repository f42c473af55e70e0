// The metrics endpoints: hand on the text that somebody else makes at each scrape.

import type { Route } from './route.ts'

export interface MetricsText {
  readonly contentType: string
  readonly text: string
}

export function metricsRoute(path: '/metrics' | '/metrics/credentials', scrape: () => Promise<MetricsText>): Route {
  return {
    path,
    async handle() {
      const { contentType, text } = await scrape()
      return { status: 200, headers: { 'content-type': contentType, 'cache-control': 'no-store' }, body: text }
    },
  }
}
