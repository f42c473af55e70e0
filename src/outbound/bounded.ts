// Keeps a source from filling the operator's memory: a connection over which it sends too much in a short time is cut. Knows no protocol.

import type { Socket } from 'node:net'

export interface Bounds {
  /** bytes that may arrive within `period` */
  readonly most: number
  /** milliseconds */
  readonly period: number
}

/** Between two looks: what arrives meanwhile comes on top. Milliseconds. */
const looks = 25

/** The same socket; it is destroyed with a code of its own, `ERR_TOO_LONG`. */
export function bounded<S extends Socket>(socket: S, { most, period }: Bounds): S {
  let [mark, left] = [0, period]
  const timer = setInterval(() => {
    if (socket.bytesRead - mark > most) socket.destroy(Object.assign(new Error('too long'), { code: 'ERR_TOO_LONG' }))
    left -= looks
    if (left <= 0) [mark, left] = [socket.bytesRead, period]
  }, looks)
  timer.unref()
  socket.once('close', () => clearInterval(timer))
  return socket
}
