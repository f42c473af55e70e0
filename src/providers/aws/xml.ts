// Reads the little of XML that AWS STS answers with: elements, text and the escapes of both. Refuses everything else, so that there is no
// document type, no entity and no instruction to think about. Pure.

/** An element: its text, or its children by name. Attributes are not kept. */
export interface Element {
  readonly name: string
  readonly text: string
  readonly children: readonly Element[]
}

const most = 256
const deepest = 8
const escapes: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const name = '[A-Za-z_][A-Za-z0-9_.-]{0,63}'
const open = new RegExp(`^<(${name})((?:\\s+[A-Za-z_:][A-Za-z0-9_:.-]*\\s*=\\s*(?:"[^"<]*"|'[^'<]*'))*)\\s*(/?)>`)
const close = new RegExp(`^</(${name})\\s*>`)

/** The root element, or `undefined` for anything that is not wholly and only such a document. */
export function parseXml(document: string): Element | undefined {
  let rest = document.replace(/^\uFEFF?(?:<\?xml [^<>]*\?>)?\s*/, '').trimEnd()
  let count = 0

  function element(depth: number): Element | undefined {
    const start = open.exec(rest)
    count += 1
    if (start === null || depth > deepest || count > most) return undefined
    const [all, own = '', , empty] = start
    rest = rest.slice(all.length)
    if (empty === '/') return { name: own, text: '', children: [] }
    const children: Element[] = []
    let text = ''
    while (true) {
      const upTo = rest.indexOf('<')
      if (upTo < 0) return undefined
      text += rest.slice(0, upTo)
      rest = rest.slice(upTo)
      const end = close.exec(rest)
      if (end !== null) {
        rest = rest.slice(end[0].length)
        const read = plain(text)
        // text between elements is white space, or not of this world
        if (end[1] !== own || read === undefined || (children.length > 0 && read.trim() !== '')) return undefined
        return { name: own, text: children.length > 0 ? '' : read, children }
      }
      const child = element(depth + 1)
      if (child === undefined) return undefined
      children.push(child)
    }
  }

  const root = element(1)
  return rest === '' ? root : undefined
}

function plain(text: string): string | undefined {
  let wrong = false
  const read = text.replace(/&([^;&]{0,8})(;?)/g, (_all, word: string, end: string) => {
    const point = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(word)
    const code = point === null ? undefined : Number.parseInt(point[1] ?? point[2] ?? '', point[1] === undefined ? 10 : 16)
    const known = code === undefined ? escapes[word] : code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : undefined
    if (known === undefined || end === '') wrong = true
    return known ?? ''
  })
  return wrong ? undefined : read
}

/** What stands at a path below an element; `undefined` where a step of it is not there exactly once. */
export function at(root: Element | undefined, ...path: readonly string[]): Element | undefined {
  let here = root
  for (const step of path) {
    const found: readonly Element[] = here?.children.filter((child) => child.name === step) ?? []
    here = found.length === 1 ? found[0] : undefined
  }
  return here
}
