// Makes the keys and certificates of one throw-away cluster with openssl, valid for two days. Must not be used for anything that lasts.
import { execFile } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** Everything as PEM. */
export interface Pair {
  readonly certificate: string
  readonly key: string
}

export interface Certificates {
  readonly folder: string
  readonly ca: string
  readonly admin: Pair
  readonly controllerManager: Pair
}

export interface Leaf {
  /** as openssl writes it */
  readonly subject: string
  /** subject alternative names, as openssl writes them: `IP:127.0.0.1`, `DNS:localhost` */
  readonly names?: readonly string[]
}

const leaves = {
  apiserver: { subject: '/CN=kube-apiserver', names: ['IP:127.0.0.1', 'IP:10.0.0.1', 'DNS:localhost', 'DNS:kubernetes.default.svc'] },
  admin: { subject: '/O=system:masters/CN=admin' },
  controllers: { subject: '/CN=system:kube-controller-manager' },
  front: { subject: '/CN=front-proxy-client' },
} as const satisfies Record<string, Leaf>

/**
 * Writes `<name>.crt` and `<name>.key` into the folder for `ca` and each leaf, and `service-account.key`, which signs ServiceAccount tokens.
 * @param address where the API server is to be reached besides loopback
 * @param more further leaves by name
 */
export async function makeCertificates(folder: string, address?: string, more: Readonly<Record<string, Leaf>> = {}): Promise<Certificates> {
  const apiserver = { ...leaves.apiserver, names: [...leaves.apiserver.names, ...(address === undefined ? [] : [`IP:${address}`])] }
  const all: Readonly<Record<string, Leaf>> = { ...leaves, apiserver, ...more }
  const at = (name: string) => join(folder, name)
  const newKey = (name: string) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return writeFile(at(name), privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 })
  }
  await Promise.all(['ca', 'service-account', ...Object.keys(all)].map((name) => newKey(`${name}.key`)))
  await openssl('req', '-x509', '-new', '-key', at('ca.key'), '-subj', '/CN=test-ca', '-days', '2', '-out', at('ca.crt'))
  await Promise.all(
    Object.entries(all).map(async ([name, { subject, names = [] }]) => {
      await writeFile(at(`${name}.ext`), `basicConstraints=CA:FALSE\n${names.length > 0 ? `subjectAltName=${names.join(',')}\n` : ''}`)
      await openssl('req', '-new', '-key', at(`${name}.key`), '-subj', subject, '-out', at(`${name}.csr`))
      const signer = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-set_serial', `0x00${randomBytes(8).toString('hex')}`, '-days', '2']
      await openssl('x509', '-req', '-in', at(`${name}.csr`), ...signer, '-extfile', at(`${name}.ext`), '-out', at(`${name}.crt`))
    }),
  )
  const pair = async (name: string): Promise<Pair> => {
    const [certificate, key] = await Promise.all([readFile(at(`${name}.crt`), 'utf8'), readFile(at(`${name}.key`), 'utf8')])
    return { certificate, key }
  }
  const [ca, admin, controllerManager] = await Promise.all([readFile(at('ca.crt'), 'utf8'), pair('admin'), pair('controllers')])
  return { folder, ca, admin, controllerManager }
}

async function openssl(...args: string[]): Promise<void> {
  try {
    await promisify(execFile)('openssl', args)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new Error('openssl is not there, and it makes the certificates of the test cluster: install it, or set KUBECONFIG to a cluster')
    }
    throw error
  }
}
