#!/usr/bin/env node
// In the repository as it is: npm links only commands that are there when it installs, before anything is built.
import '../dist/cli/main.js'
