// Makes the images of the test node, of what this machine and the checkout have: no registry is asked. Must not load or run one.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { must } from './host.ts'
import { writeImage } from './oci.ts'

const root = resolve(import.meta.dirname, '../../..')

/** A pod's first container, which does nothing. Answers the archive. */
export function makePause(folder: string, reference: string): Promise<string> {
  return makeBusybox(folder, reference, ['/bin/sleep', '2147483647'])
}

/** A shell and its usual tools, Debian's static busybox. Answers the archive. */
export async function makeBusybox(folder: string, reference: string, command: readonly string[] = ['/bin/sh']): Promise<string> {
  return inRootFolder(async (top) => {
    mkdirSync(join(top, 'bin'))
    copyFileSync('/bin/busybox', join(top, 'bin/busybox'))
    for (const tool of (await must('/bin/busybox', ['--list'])).trim().split('\n')) {
      if (tool !== 'busybox') symlinkSync('busybox', join(top, 'bin', tool))
    }
    const file = join(folder, `${reference.replaceAll(/[^a-z0-9.]/g, '-')}.tar`)
    await writeImage({ folder: top, reference, command, file })
    return file
  })
}

/**
 * A base as the project's Containerfile wants one, Node at /nodejs/bin/node and the libraries that it needs, and no shell.
 * @param files what it has besides, by path
 */
export async function makeNodeImage(file: string, reference: string, files: Readonly<Record<string, string>> = {}): Promise<void> {
  await inRootFolder(async (top) => {
    const node = realpathSync(join(root, 'node_modules/node/bin/node'))
    const copy = (from: string, to: string) => {
      mkdirSync(dirname(join(top, to)), { recursive: true })
      copyFileSync(from, join(top, to))
    }
    copy(node, '/nodejs/bin/node')
    // `libc.so.6 => /lib/.../libc.so.6 (0x...)`, and the loader alone by its path
    for (const [, path] of (await must('ldd', [node])).matchAll(/(\/\S+) \(0x/g)) copy(path as string, path as string)
    if (existsSync('/etc/ssl/certs/ca-certificates.crt')) copy('/etc/ssl/certs/ca-certificates.crt', '/etc/ssl/certs/ca-certificates.crt')
    mkdirSync(join(top, 'etc'), { recursive: true })
    writeFileSync(
      join(top, 'etc/passwd'),
      'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n',
    )
    writeFileSync(join(top, 'etc/nsswitch.conf'), 'hosts: files dns\n')
    // the C library asks these for names; they are loaded, not linked
    const library = dirname((await must('ldd', [node])).match(/(\/\S+libc\.so\.6)/)?.[1] ?? '')
    for (const name of ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2']) {
      if (existsSync(join(library, name))) copy(join(library, name), join(library, name))
    }
    for (const [to, from] of Object.entries(files)) copy(from, to)
    await writeImage({ folder: top, reference, user: '65532:65532', entrypoint: ['/nodejs/bin/node'], file })
  })
}

/** The operator's image, by the project's own Containerfile as it is, of the bundle. Answers the archive. */
export async function buildOperator(folder: string, reference: string): Promise<string> {
  const base = join(folder, 'base.tar')
  await makeNodeImage(base, 'taskbound.dev/test/base:1')
  const context = join(folder, 'context')
  const storage = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs']
  mkdirSync(context)
  await must(process.execPath, [join(root, 'scripts/bundle.ts'), join(context, 'dist')])
  for (const name of ['LICENSE', 'Containerfile', '.containerignore']) copyFileSync(join(root, name), join(context, name))
  const file = join(folder, 'operator.tar')
  const build = ['bud', '--isolation', 'chroot', '--build-arg', `BASE=oci-archive:${base}`, '-t', reference, '.']
  await must('sh', ['-c', 'cd "$1" && shift && exec buildah "$@"', 'sh', context, ...storage, ...build])
  await must('buildah', [...storage, 'push', reference, `oci-archive:${file}:${reference}`])
  for (const used of [context, base, join(folder, 'storage'), join(folder, 'run')]) rmSync(used, { recursive: true, force: true })
  return file
}

async function inRootFolder<T>(work: (top: string) => Promise<T>): Promise<T> {
  const top = mkdtempSync(join(tmpdir(), 'taskbound-root-'))
  try {
    return await work(top)
  } finally {
    rmSync(top, { recursive: true, force: true })
  }
}
