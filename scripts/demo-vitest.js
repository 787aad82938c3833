// @ts-check
// A Vitest reporter that tells scripts/demo.js which worker ran which test.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** @typedef {import('vitest/node').TestModule} TestModule */
/** @typedef {import('vitest/node').Vitest} Vitest */

export default class VitestDemo {
  /** @param {Vitest} vitest */
  onInit(vitest) {
    // Only the worker itself knows which it is.
    const setup = join(import.meta.dirname, 'demo-vitest-setup.js')
    for (const { config } of vitest.projects) config.setupFiles.push(setup)
  }

  /** @param {readonly TestModule[]} modules */
  onTestRunEnd(modules) {
    const tests = modules.flatMap(({ children }) => [...children.allTests()])
    const results = tests.map((test) => ({
      worker: /** @type {{ worker?: string }} */ (test.meta()).worker ?? '?',
      title: test.fullName,
      passed: test.ok(),
      durationMs: test.diagnostic()?.duration ?? 0,
    }))
    writeFileSync(/** @type {string} */ (process.env['DEMO_FILE']), JSON.stringify(results))
  }
}
