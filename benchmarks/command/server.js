// @ts-check
// A server that is ready at once, on the port that it is told, and says so.
import http from 'node:http'

const server = http.createServer((_request, response) => void response.end('ok'))
server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => console.log('ready'))
