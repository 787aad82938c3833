// @ts-check
// A Playwright reporter that counts for scripts/test.js, in the same words as vitest.js beside it.
import { writeFileSync } from 'node:fs'

/** @typedef {import('@playwright/test/reporter').Suite} Suite */

export default class PlaywrightTally {
  /** @type {Suite | undefined} */
  #suite
  #errors = 0

  printsToStdio() {
    return false
  }

  /**
   * @param {unknown} _config
   * @param {Suite} suite
   */
  onBegin(_config, suite) {
    this.#suite = suite
  }

  /** An error outside of the tests. */
  onError() {
    this.#errors += 1
  }

  onEnd() {
    /** @type {string[]} */
    const skipped = []
    const tally = { passed: 0, failed: this.#errors, skipped }
    for (const test of this.#suite?.allTests() ?? []) {
      const outcome = test.outcome()
      if (outcome === 'expected') tally.passed += 1
      else if (outcome === 'skipped') {
        const skip = test.annotations.find(({ type }) => type === 'skip' || type === 'fixme')
        const title = test.titlePath().filter(Boolean).join(' > ')
        skipped.push(`${title}: ${skip?.description ?? 'no reason given'}`)
      } else tally.failed += 1 // A flaky test too: it has failed.
    }
    writeFileSync(/** @type {string} */ (process.env['TALLY_FILE']), JSON.stringify(tally))
  }
}
