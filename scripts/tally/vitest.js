// @ts-check
// A Vitest reporter that counts for scripts/test.js. Vitest's JSON does not tell why a test was
// skipped, nor that something failed outside of the tests.
import { writeFileSync } from 'node:fs'

/** @typedef {import('vitest/node').TestModule} TestModule */

export default class VitestTally {
  /**
   * @param {readonly TestModule[]} modules
   * @param {readonly unknown[]} unhandledErrors
   */
  onTestRunEnd(modules, unhandledErrors) {
    /** @type {string[]} */
    const skipped = []
    const tally = { passed: 0, failed: unhandledErrors.length, skipped }
    for (const module of modules) {
      tally.failed += module.errors().length
      for (const suite of module.children.allSuites()) tally.failed += suite.errors().length
      for (const test of module.children.allTests()) {
        const result = test.result()
        if (result.state === 'passed') tally.passed += 1
        else if (result.state === 'skipped') {
          skipped.push(`${test.fullName}: ${result.note ?? 'no reason given'}`)
        } else tally.failed += 1
      }
    }
    writeFileSync(/** @type {string} */ (process.env['TALLY_FILE']), JSON.stringify(tally))
  }
}
