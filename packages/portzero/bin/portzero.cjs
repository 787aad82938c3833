#!/usr/bin/env node
// oxlint-disable import/no-commonjs, typescript/no-require-imports -- see below
// In the repository as it is: npm links only commands that are there when it installs, before anything is built. Node loads CommonJS
// in half the time that it takes to import it.
require('../dist/cli.cjs')
