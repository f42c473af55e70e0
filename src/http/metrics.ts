// The metrics endpoint: hands on the text that somebody else makes at each scrape.

import type { Route } from './route.ts'

export interface MetricsText {
  readonly contentType: string
  readonly text: string
}

export function metricsRoute(scrape: () => Promise<MetricsText>): Route {
  return {
    path: '/metrics',
    async handle() {
      const { contentType, text } = await scrape()
      return { status: 200, headers: { 'content-type': contentType, 'cache-control': 'no-store' }, body: text }
    },
  }
}
