import type { WireError } from './channel.ts'
import { PortzeroError, messageOf } from './errors.ts'
import type { ErrorCode } from './errors.ts'

/** How many causes of causes are sent along. */
const DEPTH = 5

/** What is sent of something that was thrown. */
export function toWire(thrown: unknown, depth: number = DEPTH): WireError {
  if (!(thrown instanceof Error)) {
    return { name: 'Error', message: messageOf(thrown), stack: undefined }
  }
  const { name, message, stack, cause } = thrown
  const { code } = thrown as { code?: unknown }
  return {
    name,
    message,
    stack,
    code: typeof code === 'string' ? code : undefined,
    report: thrown instanceof PortzeroError ? thrown.report : undefined,
    cause: cause === undefined || depth === 0 ? undefined : toWire(cause, depth - 1),
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
