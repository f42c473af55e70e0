// The second net under everything that leaves as text: replaces whatever looks like a credential.
// The first net is that nobody passes material to a log; this one must never be the reason why somebody may.

const longest = 4096

/** What a credential looks like, most specific first. All run in time linear in the text. */
const patterns: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z0-9 ]{1,40}-----[\s\S]*?(?:-----END [A-Z0-9 ]{1,40}-----|$)/g, '[pem]'],
  // JWS and JWE in compact form: the base64url of `{"`, also with white space after the brace
  [/(?<![A-Za-z0-9])ey[A-DI-L][A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,4}/g, '[jwt]'],
  [/(?<![A-Za-z0-9])ew[0-3o-r][A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3}/g, '[jwt]'],
  // GitHub's tokens may be long and carry dots since 2026
  [/\b(?:gh[opsur]_[A-Za-z0-9._-]{8,}|github_pat_[A-Za-z0-9_]{8,})/g, '[token]'],
  [/\bhv[bsr]\.[A-Za-z0-9_-]{8,}/g, '[token]'],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b/g, '[key]'],
  [/\b(Bearer|Basic|DPoP)\s+[A-Za-z0-9._~+/=-]{8,}/gi, '$1 [redacted]'],
  // user information in a URL
  [/:\/\/[^\s/@]{1,256}@/g, '://[redacted]@'],
  [/\b((?:client_secret|password|passwd|secret|token|api[_-]?key)["']?\s*[=:]\s*["'])[^"']+/gi, '$1[redacted]'],
  [/\b((?:client_secret|password|passwd|secret|[a-z_]*token|api[_-]?key)=)[^\s"'&;,]+/gi, '$1[redacted]'],
]

const longRun = /[A-Za-z0-9+/_-]{40,}={0,2}/g
const hexRun = /(?<![A-Za-z0-9:])[0-9a-fA-F]{48,}(?![A-Za-z0-9])/g

/** Base64 has all three kinds of characters soon; names, paths and resources of Kubernetes are lower-case and stay. */
const random = (run: string): string => (/[A-Z]/.test(run) && /[a-z]/.test(run) && /[0-9]/.test(run) ? '[redacted]' : run)

/** The text without what looks like a credential, at most 4,096 characters of it. Digests in the form `sha256:...` stay. */
export function redact(text: string): string {
  let clean = text
  // anything shorter cannot hold what the patterns look for
  if (clean.length >= 8) {
    for (const [pattern, replacement] of patterns) clean = clean.replace(pattern, replacement)
    clean = clean.replace(longRun, random).replace(hexRun, '[redacted]')
  }
  return clean.length > longest ? `${clean.slice(0, longest)}[cut]` : clean
}
