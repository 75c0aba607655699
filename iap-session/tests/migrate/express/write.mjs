// A server with express-session and connect-redis, which is asked once for each line of its input: `name value`.
// Prints the cookies that it gave.
import { createServer } from 'node:http'
import session from 'express-session'
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'

const [port, secret, maxAge] = process.argv.slice(2)
const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect()
const cookie = maxAge ? { maxAge: Number(maxAge) } : {}
const middleware = session({ store: new RedisStore({ client }), secret, resave: false, saveUninitialized: false, cookie })
const server = createServer((request, response) => {
  middleware(request, response, () => {
    request.session.cart = [1, { two: 'zwei' }]
    request.session.passport = { user: new URL(request.url, 'http://x').searchParams.get('user') }
    response.end('ok')
  })
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
for (const user of ['alice', 'bob']) {
  const response = await fetch(`http://127.0.0.1:${server.address().port}/?user=${user}`)
  await response.text()
  console.log(response.headers.getSetCookie()[0].split(';')[0])
}
server.close()
server.closeAllConnections()
await client.close()
