// Does one thing with a server in the background, as a process of its own, and prints what came of it as JSON.
import { connect, list, start } from 'portzero'

const [verb, name, target] = process.argv.slice(2)

const acts = {
  start: async () => {
    const server = await start(target, { name })
    return { url: server.url, pid: server.pid }
  },
  connect: async () => {
    const server = await connect(name)
    const response = await server.fetch('/')
    return { url: server.url, answer: await response.text() } // Ends without letting go of it.
  },
  stop: async () => (await connect(name)).stop(),
  list: async () => ({ entries: await list() }),
}

try {
  console.log(JSON.stringify(await acts[verb]()))
} catch (error) {
  console.log(JSON.stringify({ code: error.code ?? String(error), message: error.message }))
}
