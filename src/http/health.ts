// Whether this replica lives and can serve, as Kubernetes probes ask it. Names checks, never says more of why than their own sentence.

import type { HttpAnswer, HttpRequest, Route } from './route.ts'

/** `undefined`: well; otherwise one short sentence without anything secret. */
export type Check = () => string | undefined

export type Checks = Readonly<Record<string, Check>>

/** `/healthz` (restart it?) and `/readyz` (send it requests?); `?verbose` lists every check. */
export function healthRoutes(live: Checks, ready: Checks): readonly Route[] {
  return [
    { path: '/healthz', handle: (request) => judge(live, request) },
    { path: '/readyz', handle: (request) => judge(ready, request) },
  ]
}

function judge(checks: Checks, request: HttpRequest): HttpAnswer {
  const results = Object.entries(checks).map(([name, check]) => ({ name, problem: outcome(check) }))
  const failed = results.filter(({ problem }) => problem !== undefined)
  const shown = request.query.has('verbose') ? results : failed
  const lines = shown.map(({ name, problem }) => (problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`))
  const status = failed.length === 0 ? 200 : 503
  return { status, headers: { 'cache-control': 'no-store' }, body: `${[...lines, status === 200 ? 'ok' : 'failed'].join('\n')}\n` }
}

function outcome(check: Check): string | undefined {
  try {
    return check()
  } catch {
    return 'the check itself failed'
  }
}
