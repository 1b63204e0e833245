// Node.js: a server and a client in one process over loopback TCP, timers, buffers, the thread pool
// (zlib, pbkdf2) and a worker thread. Every round sends a block of pseudo-random bytes, gets its
// digest back through the event loop and prints one line that depends on all rounds so far.
//
// usage: loopback.js ROUNDS
'use strict'

const net = require('net')
const zlib = require('zlib')
const crypto = require('crypto')
const { promisify } = require('util')
const { Worker } = require('worker_threads')

const rounds = Number(process.argv[2] || 100)
const gzip = promisify(zlib.deflate)
const gunzip = promisify(zlib.inflate)
const pbkdf2 = promisify(crypto.pbkdf2)
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
const sha256 = (...parts) => {
  const hash = crypto.createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

/** Content is a function of the round alone. */
function block(round) {
  const bytes = Buffer.alloc(1 + ((round * 7919) % 200000))
  let x = round >>> 0
  for (let i = 0; i < bytes.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    bytes[i] = x >>> 24
  }
  return bytes
}

/** Frames of a 4-byte length and a body, cut out of whatever TCP delivers. */
function frames(socket, handle) {
  let pending = Buffer.alloc(0)
  socket.on('data', (piece) => {
    pending = Buffer.concat([pending, piece])
    while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32BE(0)) {
      const length = pending.readUInt32BE(0)
      handle(pending.subarray(4, 4 + length))
      pending = pending.subarray(4 + length)
    }
  })
}

function send(socket, body) {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(body.length, 0)
  socket.write(Buffer.concat([head, body]))
}

async function main() {
  const server = net.createServer((socket) => {
    frames(socket, (body) => send(socket, Buffer.concat([Buffer.from(sha256(body)), body])))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = net.connect(server.address().port, '127.0.0.1')
  await new Promise((resolve) => client.on('connect', resolve))
  let arrived = null
  frames(client, (body) => arrived(body))

  const worker = new Worker(
    `const { parentPort } = require('worker_threads')
     const crypto = require('crypto')
     let state = 'worker'
     parentPort.on('message', (text) => {
       state = crypto.createHash('sha1').update(state + text).digest('hex')
       parentPort.postMessage(state)
     })`, { eval: true })

  let ticks = 0
  const ticker = setInterval(() => { ticks++ }, 1)
  let joint = ''
  for (let round = 1; round <= rounds; round++) {
    const body = block(round)
    const answer = new Promise((resolve) => { arrived = resolve })
    send(client, body)
    const reply = Buffer.from(await answer)
    if (reply.subarray(0, 64).toString() !== sha256(body) || !reply.subarray(64).equals(body)) {
      throw new Error(`round ${round}: the echo differs`)
    }
    const packed = await gzip(body)
    if (!(await gunzip(packed)).equals(body)) throw new Error(`round ${round}: zlib`)
    const key = await pbkdf2(joint, String(round), 200, 16, 'sha256')
    const state = await new Promise((resolve) => {
      worker.once('message', resolve)
      worker.postMessage(joint)
    })
    await sleep(round % 3)
    joint = sha256(joint, reply, key, state)
    console.log(`round ${round} bytes ${body.length} state ${joint.slice(0, 32)}`)
  }
  clearInterval(ticker)
  if (ticks === 0) throw new Error('the interval timer never fired')
  await worker.terminate()
  client.end()
  server.close()
  console.log('done')
}

main().catch((problem) => {
  console.log(`FAIL: ${problem.stack}`)
  process.exit(1)
})
