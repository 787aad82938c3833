// @ts-check
// Notes when it listens, and says so.
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'

createServer((_request, response) => response.end('ok')).listen(
  Number(process.env['PORT'] || 3000),
  '127.0.0.1',
  () => {
    writeFileSync(String(process.env['LISTENING']), String(Date.now()))
    console.log('listening')
  },
)
