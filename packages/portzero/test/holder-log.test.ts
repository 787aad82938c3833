import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { platform } from 'node:process'
import { expect, test } from 'vitest'

const MODULE = new URL('../dist/background/holder-log.js', import.meta.url)

test.skipIf(platform !== 'linux')(
  'what finds no room in a log is no end of its holder',
  async () => {
    const full = openSync('/dev/full', 'a')
    const source = `
    import { HolderLog } from '${MODULE.href}'
    const log = new HolderLog('/dev/full')
    log.line('lost')
    setImmediate(() => process.send(log.printed))`
    const holder = spawn(process.execPath, ['--input-type=module', '--eval', source], {
      stdio: ['ignore', full, 'inherit', 'ipc'],
    })
    closeSync(full)
    const exited = once(holder, 'exit')
    const [printed] = (await once(holder, 'message')) as [string[]]
    expect(printed).toEqual(['lost'])
    expect(await exited).toEqual([0, null])
  },
)
