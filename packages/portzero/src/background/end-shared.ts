// Ends the servers that live as long as the process whose number it is given, and says what was in their way, and what their close hooks throw.
import process from 'node:process'
import { PortzeroError } from '../errors.ts'
import { connectTo } from './hold.ts'
import type { Connected } from './connected-server.ts'
import { giveUp } from './holder-connection.ts'
import { Registry } from './registry.ts'
import type { HeldRecord } from './registry.ts'
import { HOOK_THREW, sharedIn } from './run-end.ts'
import { forcedClose, tellingClose } from '../slow-close.ts'
import { warn } from '../warn.ts'

const registry = new Registry()
void Promise.all(sharedIn(registry, Number(process.argv[2])).map(end))

async function end(record: HeldRecord): Promise<void> {
  try {
    if (record.state !== 'ready') return void (await giveUp(registry.socketOf(record)))
    const server = await connectTo(registry, record)
    if (server !== undefined) await close(record, server)
  } catch (error) {
    // What else may happen to one that ends has failed the tests that it matters to.
    if (!(error instanceof PortzeroError && error.code === 'CLOSE_FAILED')) return
    process.exitCode = HOOK_THREW
    warn(
      `The run fails, though its tests may have passed: what its workers shared, ${record.target}, did not end as it should. ${String(error)}`,
    )
  }
}

async function close({ target }: HeldRecord, server: Connected): Promise<void> {
  const report = await tellingClose(target, server, server.stop(), warn)
  const hasDied = server.died !== undefined
  if (!hasDied && report.outcome !== 'graceful') warn(forcedClose(target, server, report))
}
