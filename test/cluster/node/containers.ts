// Asks the containerd of the node of this machine. Must not start or stop the node.
import { join } from 'node:path'
import { must, nodeFolder } from './host.ts'

/** Folder of everything of the node but its control plane. */
export const containersFolder = join(nodeFolder, 'node')

export function ctr(...args: string[]): Promise<string> {
  return must('ctr', ['-a', join(containersFolder, 'containerd.sock'), '-n', 'k8s.io', ...args])
}

/** Makes an archive of an image known to the node. */
export async function loadImage(archive: string): Promise<void> {
  await ctr('images', 'import', archive)
}

/**
 * Process id, on this machine, of the first process of a container.
 * @param id as in a pod's status: `containerd://...`
 */
export async function firstProcess(id: string): Promise<number> {
  const name = id.replace('containerd://', '')
  const line = (await ctr('tasks', 'ls')).split('\n').find((one) => one.startsWith(name))
  const pid = Number(line?.split(/\s+/)[1])
  if (!(pid > 1)) throw new Error(`no container ${name} runs`)
  return pid
}
