// Paths and who answers them. A path is literal, or ends in one parameter.

export interface HttpRequest {
  /** what stood in place of the path's `*` */
  readonly parameter: string
  readonly query: URLSearchParams
  /** @param key lower case */
  header(key: string): string | undefined
}

export interface HttpAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

export interface Route {
  /** `/a/b`, or `/a/*` where the last segment is a parameter */
  readonly path: string
  readonly handle: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>
}

/** Compares exactly: nothing is decoded, collapsed or completed. */
export function findRoute(
  routes: readonly Route[],
  path: string,
): { readonly handle: Route['handle']; readonly parameter: string } | undefined {
  for (const route of routes) {
    if (route.path === path) return { handle: route.handle, parameter: '' }
    if (!route.path.endsWith('/*')) continue
    const prefix = route.path.slice(0, -1)
    const parameter = path.startsWith(prefix) ? path.slice(prefix.length) : ''
    if (parameter !== '' && !parameter.includes('/')) return { handle: route.handle, parameter }
  }
  return undefined
}
