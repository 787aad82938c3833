// @ts-check
// A Playwright reporter that tells scripts/demo.js which worker ran which test.
import { writeFileSync } from 'node:fs'

/** @typedef {import('@playwright/test/reporter').TestCase} TestCase */
/** @typedef {import('@playwright/test/reporter').TestResult} TestResult */

export default class PlaywrightDemo {
  /** @type {object[]} */
  #results = []

  printsToStdio() {
    return false
  }

  /**
   * @param {TestCase} test
   * @param {TestResult} result
   */
  onTestEnd(test, result) {
    this.#results.push({
      worker: String(result.workerIndex),
      title: test.title,
      passed: result.status === test.expectedStatus,
      durationMs: result.duration,
    })
  }

  onEnd() {
    writeFileSync(/** @type {string} */ (process.env['DEMO_FILE']), JSON.stringify(this.#results))
  }
}
