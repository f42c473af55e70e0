// Whether a policy's answer can change by the mere passing of time: whether it reads `context.now`.

import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'

/** True where `context.now` is read, and where `context` is used as a whole, which includes it. */
export function readsNow(policy: Pick<PolicyJson, 'conditions'>): boolean {
  return policy.conditions.some((clause) => reads(clause.body))
}

function reads(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(reads)
  if (node === null || typeof node !== 'object') return false
  return Object.entries(node).some(([operator, operand]) => {
    if (operator === 'Var') return operand === 'context'
    if (operator === 'Value') return false
    // its keys are the author's words, not operators
    if (operator === 'Record') return Object.values(operand).some(reads)
    if (operator === '.' || operator === 'has') {
      const { left, attr } = operand as { left: unknown; attr: string | readonly string[] }
      if (isContext(left)) return (typeof attr === 'string' ? attr : attr[0]) === 'now'
      return reads(left)
    }
    return reads(operand)
  })
}

function isContext(node: unknown): boolean {
  return node !== null && typeof node === 'object' && 'Var' in node && node.Var === 'context'
}
