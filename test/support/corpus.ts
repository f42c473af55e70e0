// Texts that break what they are put into where it is put together from texts, and the places of the API that take a text: every string of
// every CRD, so that a new field is walked by itself.

import type { Crd, Schema } from '../generate/crds.ts'

/** What each is, and it. */
export const corpus: Readonly<Record<string, string>> = {
  'a single quote': "o'brien",
  'a double quote': 'a "quoted" word',
  'a backquote': 'a `quoted` word',
  'SQL that closes a string': "'; drop role postgres; --",
  'SQL that closes an identifier': '"; alter role postgres superuser; --',
  'SQL that closes a block': '$taskbound$; select pg_sleep(9); do $taskbound$',
  'a backslash at the end': 'name\\',
  'a way up': '../../sys/raw/core',
  'a way up, encoded': '..%2f..%2fsys%2fraw',
  'a way up of Windows': '..\\..\\secret',
  'an absolute path': '/etc/passwd',
  'one dot': '.',
  'two dots': '..',
  'two slashes': 'a//b',
  'a query': 'x?list=true&a=b',
  'a fragment': 'x#y',
  'a URL': 'https://169.254.169.254/latest/meta-data/',
  'a user in a URL': 'https://me:pw@elsewhere.example',
  'a line feed': 'a\nb',
  'a header of its own': 'a\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n',
  'a line of a log of its own': '"}\n{"level":"error","msg":"forged"}',
  NUL: 'a\0b',
  'an escape sequence': '\x1b]0;owned\x07\x1b[31m',
  'a template': '{{ .Values.secret }}{% raw %}',
  'a substitution': `$(id) \`id\` $${'{'}HOME} %HOME%`,
  'a format': '%s%s%n%x%I%L',
  'a series of its own': 'a"} 1\ntaskbound_forged{x="',
  'an entry of an object': '__proto__',
  'a constructor': 'constructor',
  JSON: '{"role":"admin"}',
  YAML: 'a: b\n- c: !!js/function',
  markup: '<script>alert(1)</script>',
  'a SPIFFE ID': 'spiffe://corp.example/taskbound',
  'letters that look like others': 'раyrоll',
  'right to left': 'abc\u202etxt.exe',
  'of no width': 'a\u200bb\ufeff',
  'a lone surrogate': 'a\ud800b',
  'far away letters': '𝕒𝖉𝗆𝓲𝚗 👩‍👩‍👧 ﷽',
  'composed in two ways': 'e\u0301 é',
  spaces: '  a  ',
  'nothing but a space': ' ',
  nothing: '',
  '253 characters': 'a'.repeat(253),
  'many characters': 'é'.repeat(4096),
}

export interface Place {
  readonly kind: string
  /** as `kubectl explain` would write it: `[]` for an item, `{}` for a value, `{key}` for the key of a map */
  readonly path: string
  readonly schema: Schema
}

function within(kind: string, schema: Schema, path: string): readonly Place[] {
  if (schema.type === 'string') return [{ kind, path, schema }]
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, member]) => within(kind, member, `${path}.${name}`))
  const items = schema.items === undefined ? [] : within(kind, schema.items, `${path}[]`)
  const { additionalProperties: values } = schema
  return [
    ...inner,
    ...items,
    ...(values === undefined
      ? []
      : [...within(kind, values, `${path}{}`), { kind, path: `${path}{key}`, schema: { type: 'string' as const } }]),
  ]
}

/** Every place in `spec` that takes a text, closed sets apart. */
export const placesOf = ({ kind, schema }: Crd): readonly Place[] => {
  const spec = schema.properties?.['spec']
  return spec === undefined ? [] : within(kind, spec, '.spec').filter((place) => place.schema.enum === undefined)
}

/** A copy of the object with this text there; what is on the way and not there is made. */
export function put(object: object, path: string, text: string): object {
  const copy = structuredClone(object)
  const steps = path.match(/\{key\}|\[\]|\{\}|[^.[\]{}]+/g) ?? []
  let here = copy as Record<string, unknown>
  for (const [i, step] of steps.entries()) {
    const key = step === '[]' ? '0' : step === '{}' ? 'key' : step
    const next = steps[i + 1]
    if (step === '{key}') Object.defineProperty(here, text, { value: 'value', enumerable: true, configurable: true, writable: true })
    else if (next === undefined) here[key] = text
    else {
      here[key] ??= next === '[]' ? [] : {}
      here = here[key] as Record<string, unknown>
    }
  }
  return copy
}
