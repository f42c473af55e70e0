// What the programs of a node are told: flags and files. Must not start anything.
import { join } from 'node:path'
import { network } from './clean.ts'
import { bridge, nodeAddress, subnet } from './host.ts'

export const nodeName = 'node1'
export const pauseImage = 'taskbound.dev/test/pause:1'
export const clusterDomain = 'cluster.local'

/** For the API server, in addition to those of a control plane on loopback; `certs` is the folder of its certificates. */
export const apiServerFlags = (certs: string): readonly string[] => [
  '--bind-address=0.0.0.0',
  // so that pods reach it through the Service `kubernetes`
  `--advertise-address=${nodeAddress}`,
  '--endpoint-reconciler-type=lease',
  '--kubelet-preferred-address-types=InternalIP',
  `--kubelet-client-certificate=${join(certs, 'admin.crt')}`,
  `--kubelet-client-key=${join(certs, 'admin.key')}`,
]

export const nodeCertificates = {
  kubelet: { subject: `/O=system:nodes/CN=system:node:${nodeName}`, names: [`IP:${nodeAddress}`, `DNS:${nodeName}`] },
  scheduler: { subject: '/CN=system:kube-scheduler' },
  proxy: { subject: '/CN=system:kube-proxy' },
} as const

export const cniConfiguration = (folder: string): string =>
  JSON.stringify({
    cniVersion: '0.4.0',
    name: network,
    plugins: [
      {
        type: 'bridge',
        bridge,
        isGateway: true,
        hairpinMode: true,
        ipam: { type: 'host-local', subnet, dataDir: join(folder, 'addresses'), routes: [{ dst: '0.0.0.0/0' }] },
      },
    ],
  })

export const containerdConfiguration = (folder: string, snapshotter: string): string => `version = 2
root = "${folder}/containerd/root"
state = "${folder}/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "${folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "${snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}/cni"
`

export const kubeletConfiguration = (folder: string, certs: string, port: number): string =>
  JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: join(certs, 'ca.crt') } },
    authorization: { mode: 'Webhook' },
    // one control group for all pods and no limits in it: this may itself run in a container
    cgroupDriver: 'cgroupfs',
    cgroupsPerQOS: false,
    cgroupRoot: `/${network}`,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    failCgroupV1: false,
    localStorageCapacityIsolation: false,
    evictionHard: { 'nodefs.available': '0%', 'memory.available': '1Mi', 'imagefs.available': '0%' },
    // a disk of a development machine is fuller than that of a node; without it the kubelet removes images
    imageGCHighThresholdPercent: 100,
    makeIPTablesUtilChains: false,
    containerRuntimeEndpoint: `unix://${folder}/containerd.sock`,
    address: nodeAddress,
    port,
    readOnlyPort: 0,
    healthzPort: 0,
    clusterDNS: [nodeAddress],
    clusterDomain,
    resolvConf: '',
    maxPods: 110,
    // the defaults make fifty Jobs wait for each other
    kubeAPIQPS: 200,
    kubeAPIBurst: 400,
    registryPullQPS: 0,
  })

export const kubeletArgs = (folder: string, kubeconfig: string): readonly string[] => [
  `--kubeconfig=${kubeconfig}`,
  `--config=${folder}/kubelet.json`,
  `--hostname-override=${nodeName}`,
  `--node-ip=${nodeAddress}`,
  `--root-dir=${folder}/kubelet`,
  `--cert-dir=${folder}/kubelet/pki`,
]

export const proxyArgs = (kubeconfig: string, healthPort: number, metricsPort: number): readonly string[] => [
  `--kubeconfig=${kubeconfig}`,
  `--hostname-override=${nodeName}`,
  '--proxy-mode=nftables',
  `--cluster-cidr=${subnet}`,
  // limits of the machine are not ours to change
  '--conntrack-max-per-core=0',
  '--conntrack-tcp-timeout-established=0',
  '--conntrack-tcp-timeout-close-wait=0',
  `--healthz-bind-address=127.0.0.1:${healthPort}`,
  `--metrics-bind-address=127.0.0.1:${metricsPort}`,
]

export const schedulerArgs = (kubeconfig: string, port: number): readonly string[] => [
  `--kubeconfig=${kubeconfig}`,
  `--authentication-kubeconfig=${kubeconfig}`,
  `--authorization-kubeconfig=${kubeconfig}`,
  '--leader-elect=false',
  '--bind-address=127.0.0.1',
  `--secure-port=${port}`,
]

/** CoreDNS runs beside the kubelet, not in a pod; to pods it is the same. */
export const dnsConfiguration = (kubeconfig: string): string => `.:53 {
  bind ${nodeAddress}
  errors
  kubernetes ${clusterDomain} in-addr.arpa {
    kubeconfig ${kubeconfig}
    pods insecure
    ttl 5
  }
}
`
