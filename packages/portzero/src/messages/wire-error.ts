import { PortzeroError, messageOf } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import type { WireError } from './channel.ts'

/** How many causes of causes are sent along. */
const DEPTH = 5

/** What is sent of something that was thrown: whatever that is, it can be sent, and read. */
export function toWire(thrown: unknown, depth: number = DEPTH): WireError {
  const message = messageOf(thrown)
  if (!(thrown instanceof Error)) return { name: 'Error', message, stack: undefined }
  const cause = read(thrown, 'cause')
  return {
    name: textOf(thrown, 'name') ?? 'Error',
    message,
    stack: textOf(thrown, 'stack'),
    code: textOf(thrown, 'code'),
    report: thrown instanceof PortzeroError ? thrown.report : undefined,
    cause: cause === undefined || depth === 0 ? undefined : toWire(cause, depth - 1),
  }
}

/** A property of an error, if it is text: the code of another's app may have made it anything. */
function textOf(error: Error, name: string): string | undefined {
  const value = read(error, name)
  return typeof value === 'string' ? value : undefined
}

function read(error: Error, name: string): unknown {
  try {
    return Reflect.get(error, name)
  } catch {
    return undefined
  }
}

/** The error that was sent. The stack is that of the thread or process it comes from. */
export function fromWire(wire: WireError): Error {
  const { name, message, stack, code, report } = wire
  const cause = wire.cause && fromWire(wire.cause)
  const details = { ...(cause && { cause }), ...(report && { report }) }
  const error = name.startsWith('PortzeroError')
    ? new PortzeroError(code as ErrorCode, message, details)
    : Object.assign(new Error(message, details), { name }, code === undefined ? {} : { code })
  if (stack !== undefined) error.stack = stack
  return error
}
