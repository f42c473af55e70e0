// A source of one type over real HTTPS that keeps what it is sent as it came, and has no objections.

import { createServer } from 'node:https'
import { text } from 'node:stream/consumers'
import { decodeJwt } from 'jose'
import type { HttpCall } from '../../../../src/outbound/http.ts'
import { refusal, sources } from '../../../corpus/outside.ts'
import { shapeOfCall } from '../../../corpus/shape.ts'
import { roleData } from '../../../providers/vault/fake.ts'
import { ownCertificate } from '../../../support/certificate.ts'
import { listening } from '../../../support/listening.ts'

type Block = Readonly<Record<string, unknown>>

export interface Served {
  readonly type: string
  readonly port: number
  /** of a provider object that asks here; each has its own audience */
  block(n: number): Block
  /** Shapes of all that it was sent. Throws where something went elsewhere than below what the block says. */
  shapes(): readonly string[]
  /** Every text in what it was sent, decoded: of paths, headers, bodies, forms and the claims of tokens. */
  texts(): ReadonlySet<string>
  close(): void
}

/** Types that are asked over HTTPS. */
export const served = Object.entries(sources).flatMap(([type, { answers }]) => (answers === undefined ? [] : [type]))

export async function serve(type: string): Promise<Served> {
  const kind = sources[type]
  if (kind?.answers === undefined) throw new Error(`${type} is not asked over HTTPS`)
  const answers = kind.answers()
  const calls: HttpCall[] = []
  const own = ownCertificate()
  const server = createServer(own, async (request, response) => {
    const body = await text(request)
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
    const call = {
      method: request.method,
      url: `${origin}${request.url}`,
      headers,
      ...(body === '' ? {} : { body }),
    } as unknown as HttpCall
    calls.push(call)
    const said = setUp(call, () => [...calls.flatMap(textsOf)]) ?? answers(call)
    response.statusCode = typeof said === 'number' ? said : 200
    response.end(typeof said === 'number' ? refusal : typeof said === 'string' ? said : JSON.stringify(said))
  })
  const port = await listening(server)
  const origin = `https://localhost:${port}`
  // its URLs lead here
  const elsewhere = kind.bases(kind.params).map((base) => new URL(String(base)).origin)
  const block = JSON.parse(elsewhere.reduce((json, one) => json.replaceAll(one, origin), JSON.stringify(kind.params))) as Block
  const bases = kind.bases(block).map((base) => String(base).replace(/\/+$/, ''))
  return {
    type,
    port,
    block: (n) => ({
      ...block,
      caBundle: own.ca,
      ...('audience' in block || type === 'oauth' ? { audience: `https://${type.toLowerCase()}-${n}.example` } : {}),
      ...('audiences' in block ? { audiences: [`https://${type.toLowerCase()}-for-${n}.example`] } : {}),
    }),
    shapes: () => calls.map((call) => shapeOfCall(call, bases)),
    texts: () => new Set(calls.flatMap(textsOf)),
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** What a Vault says of a role that takes whoever was here. */
function setUp({ url, body = '{}' }: HttpCall, seen: () => readonly string[]): object | undefined {
  if (/\/v1\/auth\/.+\/role\//.test(url)) return { data: { ...roleData, bound_audiences: seen() } }
  if (!url.endsWith('/v1/sys/capabilities-self')) return undefined
  const { paths } = JSON.parse(body) as { readonly paths: readonly string[] }
  const able = (path: string): string => (/^(auth\/token|sys\/leases)\//.test(path) ? 'update' : path.startsWith('auth/') ? 'read' : 'deny')
  return { data: Object.fromEntries(paths.map((path) => [path, [able(path)]])) }
}

function textsOf({ url, headers = {}, body }: HttpCall): readonly string[] {
  const segments = new URL(url).pathname.split('/').map(decodeURIComponent)
  const isForm = String(headers['content-type']).startsWith('application/x-www-form-urlencoded')
  const said = body === undefined ? [] : isForm ? [...new URLSearchParams(body).values()] : within(JSON.parse(body))
  const all = [...segments, ...Object.values(headers).map((value) => value.replace(/^Bearer /, '')), ...said]
  return all.flatMap((one) => (/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(one) ? within(decodeJwt(one)) : [one]))
}

const within = (value: unknown): readonly string[] =>
  typeof value === 'string' ? [value] : typeof value === 'object' && value !== null ? Object.values(value).flatMap(within) : []
