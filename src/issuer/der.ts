// ASN.1 DER, as much of it as an X.509 certificate needs. Writes only.

type Bytes = Uint8Array

function tagged(tag: number, ...contents: readonly Bytes[]): Bytes {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag]), length(content.length), content])
}

function length(value: number): Bytes {
  if (value < 0x80) return Buffer.from([value])
  const octets: number[] = []
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return Buffer.from([0x80 | octets.length, ...octets])
}

/** A positive INTEGER of big-endian bytes, in its shortest form. */
function integer(bytes: Bytes): Bytes {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1
  const body = bytes.subarray(start)
  return tagged(0x02, (body[0] ?? 0) & 0x80 ? Buffer.from([0]) : Buffer.alloc(0), body.length === 0 ? Buffer.from([0]) : body)
}

function objectIdentifier(dotted: string): Bytes {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const octets = [first * 40 + second]
  for (const arc of rest) {
    const digits = [arc % 128]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift(128 | (left % 128))
    octets.push(...digits)
  }
  return tagged(0x06, Buffer.from(octets))
}

/** UTCTime until 2049, GeneralizedTime after it, as RFC 5280 wants. */
function time(epochMilliseconds: number): Bytes {
  const digits = `${new Date(epochMilliseconds).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`
  const short = Number(digits.slice(0, 4)) < 2050
  return tagged(short ? 0x17 : 0x18, Buffer.from(short ? digits.slice(2) : digits))
}

export const der = {
  sequence: (...items: readonly Bytes[]): Bytes => tagged(0x30, ...items),
  set: (...items: readonly Bytes[]): Bytes => tagged(0x31, ...items),
  integer,
  objectIdentifier,
  time,
  boolean: (value: boolean): Bytes => tagged(0x01, Buffer.from([value ? 0xff : 0])),
  octets: (content: Bytes): Bytes => tagged(0x04, content),
  utf8: (text: string): Bytes => tagged(0x0c, Buffer.from(text)),
  /** @param unused bits of the last byte that do not count */
  bits: (content: Bytes, unused = 0): Bytes => tagged(0x03, Buffer.from([unused]), content),
  /** `[n]`, constructed: around other items */
  context: (n: number, ...items: readonly Bytes[]): Bytes => tagged(0xa0 | n, ...items),
  /** `[n]`, primitive: in place of the type's own tag */
  implicit: (n: number, content: Bytes): Bytes => tagged(0x80 | n, content),
}
