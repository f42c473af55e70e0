// Collects the text given for each option: a flag before its environment variable before the platform's variables.
// Reads only what it is handed, parses no value, and reports what belongs to no option.

import { parseArgs } from 'node:util'
import { distance, nearest } from './nearest.ts'
import { environmentName, isList, isSwitch, type OptionKey, option, optionKeys } from './options.ts'

export interface Environment {
  readonly KUBERNETES_SERVICE_HOST?: string | undefined
  readonly KUBERNETES_SERVICE_PORT?: string | undefined
  readonly [name: string]: string | undefined
}

export interface Given {
  readonly text: string
  /** the flag or variable it came from, for messages */
  readonly from: string
}

export interface Sources {
  readonly given: ReadonlyMap<OptionKey, Given>
  readonly errors: readonly string[]
}

const byFlag = (name: string): OptionKey | undefined => optionKeys.find((key) => option(key).flag === name)

function fromFlags(argv: readonly string[], errors: string[]): Map<OptionKey, Given> {
  const given = new Map<OptionKey, Given>()
  const types = Object.fromEntries(optionKeys.map((key) => [option(key).flag, { type: isSwitch(key) ? 'boolean' : 'string' } as const]))
  // parseArgs takes `--b` for the value of `--a` in `--a --b`, which would hide `--b`
  const args = argv.map((arg, i) => {
    const key = arg.startsWith('--') ? byFlag(arg.slice(2)) : undefined
    return key !== undefined && !isSwitch(key) && argv[i + 1]?.startsWith('--') ? `${arg}=` : arg
  })
  const { tokens } = parseArgs({ args, options: types, strict: false, tokens: true, allowPositionals: true })
  // the value of a flag that is not known is read as an argument; one message is enough for both
  let excused = -1
  for (const token of tokens) {
    if (token.kind === 'positional') {
      if (token.index !== excused) errors.push(`\`${token.value}\` is no option: every option begins with \`--\`; see --help`)
      continue
    }
    if (token.kind === 'option-terminator') continue
    const negated = token.name.startsWith('no-') ? byFlag(token.name.slice(3)) : undefined
    const off = negated !== undefined && isSwitch(negated)
    const key = off ? negated : byFlag(token.name)
    if (key === undefined || !token.rawName.startsWith('--')) {
      excused = token.index + 1
      const flags = optionKeys.map((known) => option(known).flag)
      errors.push(`\`${token.rawName}\` is no option: did you mean \`--${nearest(token.name, flags)}\`? see --help`)
      continue
    }
    const from = token.rawName
    const inline = token.inlineValue === true
    const text = token.value ?? (isSwitch(key) ? String(!off) : undefined)
    if (text === undefined || text === '') {
      errors.push(`\`${from}\` needs a value: write \`${from}=${option(key).value}\``)
    } else if (off && inline) {
      errors.push(`\`${from}\` takes no value: write \`--${option(key).flag}=${option(key).value}\``)
    } else if (given.has(key) && !isList(key)) {
      errors.push(`\`--${option(key).flag}\` is given twice: keep one`)
    } else {
      const before = given.get(key)
      given.set(key, { text: before === undefined ? text : `${before.text},${text}`, from })
    }
  }
  return given
}

export function collect(argv: readonly string[], env: Environment): Sources {
  const errors: string[] = []
  const given = fromFlags(argv, errors)
  const names = optionKeys.map(environmentName)
  for (const key of optionKeys) {
    if (given.has(key)) continue
    // an empty variable is one that is not set: charts write them
    const from = [environmentName(key), ...(option(key).also ?? [])].find((name) => (env[name] ?? '') !== '')
    const text = from === undefined ? undefined : env[from]
    if (from !== undefined && text !== undefined) given.set(key, { text, from })
  }
  for (const name of Object.keys(env)) {
    if (!name.startsWith('TASKBOUND_') || names.includes(name)) continue
    const close = nearest(name, names)
    // Kubernetes sets variables of this prefix for a Service called `taskbound-...`; only what looks like a slip is one
    if (close !== undefined && distance(name, close) <= 2) errors.push(`\`${name}\` is no option: did you mean \`${close}\`? see --help`)
  }
  return { given, errors }
}
