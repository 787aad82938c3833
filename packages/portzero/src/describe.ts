import { inspect } from 'node:util'

/** Says in a few words what a value is, for errors: `a Response`, `the number 42`, `a module that exports createApp`. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return `the string ${JSON.stringify(shortened(value))}`
  if (typeof value === 'function') return describeFunction(value)
  if (typeof value !== 'object') return `the ${typeof value} ${inspect(value)}`
  if (Array.isArray(value)) return `an array of ${value.length}`
  const keys = Object.keys(value)
  if (isModule(value)) return `a module that exports ${keys.length > 0 ? listOf(keys) : 'nothing'}`
  const name = className(value)
  if (name !== 'Object') return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`
  return keys.length > 0 ? `an object with ${listOf(keys)}` : 'an empty object'
}

/** Joins names for a sentence, a long list cut short. */
export function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 8).join(', ')
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown
}

/** True of the namespace object of an ES module, also one that a test runner's loader or a compiler made. */
export function isModule(value: object): boolean {
  return Object.prototype.toString.call(value) === '[object Module]' || '__esModule' in value
}

function describeFunction(fn: { readonly name: string; readonly length: number }): string {
  const kind = /^class\b/.test(Function.prototype.toString.call(fn)) ? 'class' : 'function'
  const name = fn.name === '' ? '' : ` ${fn.name}`
  if (kind === 'class') return `a class${name}`
  return `a function${name} of ${fn.length} parameter${fn.length === 1 ? '' : 's'}`
}

function className(value: object): string {
  const tag = Object.prototype.toString.call(value).slice(8, -1)
  if (tag !== 'Object') return tag
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== '' ? name : 'Object'
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
