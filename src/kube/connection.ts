// Where the API server is and how to show who we are. Made by config.ts, used by client.ts; holds no connection itself.

/** What one TLS connection needs. Asked for again at each new connection, so that rotated files are taken up. */
export interface TlsIdentity {
  /** PEM; `undefined` means the roots that Node trusts */
  readonly ca: string | Buffer | undefined
  readonly cert: string | Buffer | undefined
  readonly key: string | Buffer | undefined
  /** expected name in the server's certificate, where it differs from the host of `server` */
  readonly servername: string | undefined
}

export interface KubeConnection {
  /** an https URL; a path in it is put before every request's path */
  readonly server: string
  tls(): Promise<TlsIdentity>
  /** The `Authorization` header, where one is used. Asked for each request, so an implementation caches. */
  authorization(): Promise<string | undefined>
  /** Forgets a cached header: the API server answered 401. */
  refresh(): void
  /** whom to impersonate, where the configuration says so */
  readonly impersonate: string | undefined
  /** the namespace of the configuration's context or of the pod */
  readonly namespace: string | undefined
}
