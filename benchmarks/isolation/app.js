// @ts-check
// What all runtimes serve: a module for portzero, and for the bare sides below.
import http from 'node:http'

export default http.createServer((_request, response) => void response.end('ok'))
