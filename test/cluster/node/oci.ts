// Writes a folder as an image, in one file: an archive of the OCI image layout, which containerd and buildah read.
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { must } from './host.ts'

export interface ImageOptions {
  /** the root file system */
  readonly folder: string
  /** for example `docker.io/library/busybox:1.37` */
  readonly reference: string
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  /** numeric; default root */
  readonly user?: string
  /** the archive */
  readonly file: string
}

export async function writeImage({ folder, reference, entrypoint, command, user, file }: ImageOptions): Promise<void> {
  const layout = mkdtempSync(join(tmpdir(), 'taskbound-image-'))
  const blobs = join(layout, 'blobs/sha256')
  mkdirSync(blobs, { recursive: true })
  const typed = (kind: string, bytes: Buffer) => ({
    mediaType: `application/vnd.oci.image.${kind}`,
    digest: `sha256:${digestOf(bytes)}`,
    size: bytes.length,
  })
  const blob = (kind: string, bytes: Buffer) => {
    writeFileSync(join(blobs, digestOf(bytes)), bytes)
    return typed(kind, bytes)
  }
  try {
    const tar = join(layout, 'layer.tar')
    await must('tar', ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '-C', folder, '-cf', tar, '.'])
    const bytes = readFileSync(tar)
    const layer = typed('layer.v1.tar', bytes)
    renameSync(tar, join(blobs, digestOf(bytes)))
    const config = blob(
      'config.v1+json',
      json({
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        os: 'linux',
        config: { Entrypoint: entrypoint, Cmd: command, User: user, Env: ['PATH=/usr/local/bin:/usr/bin:/bin'] },
        rootfs: { type: 'layers', diff_ids: [layer.digest] },
      }),
    )
    const manifest = blob(
      'manifest.v1+json',
      json({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config, layers: [layer] }),
    )
    const annotations = { 'io.containerd.image.name': reference, 'org.opencontainers.image.ref.name': reference }
    writeFileSync(join(layout, 'index.json'), json({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }))
    writeFileSync(join(layout, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }))
    await must('tar', ['-C', layout, '-cf', file, 'oci-layout', 'index.json', 'blobs'])
  } finally {
    rmSync(layout, { recursive: true })
  }
}

const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
