// The command lines of the servers: which flags a control plane on loopback, without nodes, needs. Must not start anything.
import { join } from 'node:path'

export function etcdArgs(data: string, clientPort: number, peerPort: number): string[] {
  const client = `http://127.0.0.1:${clientPort}`
  const peer = `http://127.0.0.1:${peerPort}`
  return [
    `--data-dir=${data}`,
    '--unsafe-no-fsync', // the data is thrown away; never measure durability here
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
  ]
}

export interface ApiServerFlags {
  readonly port: number
  readonly etcd: string
  /** Folder of the certificates. */
  readonly certs: string
  readonly more: readonly string[]
}

export function apiServerArgs({ port, etcd, certs, more }: ApiServerFlags): string[] {
  const at = (name: string) => join(certs, name)
  return merged(
    [
      `--etcd-servers=${etcd}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      '--advertise-address=127.0.0.1',
      '--endpoint-reconciler-type=none', // it would refuse a loopback address
      `--tls-cert-file=${at('apiserver.crt')}`,
      `--tls-private-key-file=${at('apiserver.key')}`,
      `--client-ca-file=${at('ca.crt')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${at('service-account.key')}`,
      `--service-account-signing-key-file=${at('service-account.key')}`,
      '--shutdown-watch-termination-grace-period=1s', // without it a stop waits for every watch, up to a minute
      '--service-cluster-ip-range=10.0.0.0/24',
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement',
      `--requestheader-client-ca-file=${at('ca.crt')}`,
      '--requestheader-allowed-names=front-proxy-client',
      '--requestheader-username-headers=X-Remote-User',
      '--requestheader-group-headers=X-Remote-Group',
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      `--proxy-client-cert-file=${at('front.crt')}`,
      `--proxy-client-key-file=${at('front.key')}`,
    ],
    more,
  )
}

export interface ControllerManagerFlags {
  readonly port: number
  readonly kubeconfig: string
  readonly certs: string
  readonly more: readonly string[]
}

export function controllerManagerArgs({ port, kubeconfig, certs, more }: ControllerManagerFlags): string[] {
  return merged(
    [
      `--kubeconfig=${kubeconfig}`,
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      `--service-account-private-key-file=${join(certs, 'service-account.key')}`,
      `--root-ca-file=${join(certs, 'ca.crt')}`,
      '--use-service-account-credentials',
      '--controllers=*,-node-ipam-controller,-cloud-node-lifecycle-controller',
      '--leader-elect=false',
      '--kube-api-qps=500', // the default 20 a second makes its own start take five seconds
      '--kube-api-burst=1000',
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
    ],
    more,
  )
}

/** A flag in `more` takes the place of the same flag: given twice, some are lists that would grow. */
function merged(usual: readonly string[], more: readonly string[]): string[] {
  const name = (flag: string) => flag.split('=', 1)[0]
  const replaced = new Set(more.map(name))
  return [...usual.filter((flag) => !replaced.has(name(flag))), ...more]
}
