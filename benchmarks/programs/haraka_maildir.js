'use strict'
// A queue of Haraka: a Maildir for each recipient, where a message is on the disk before it is answered for.

const fs = require('node:fs')
const path = require('node:path')

let count = 0

exports.register = function () {
    this.mailboxes = this.config.get('mailboxes.json')
    this.register_hook('rcpt', 'known')
    this.register_hook('queue', 'deliver')
}

exports.known = function (next, connection, params) {
    if (this.mailboxes[params[0].address.toLowerCase()]) return next(OK)
    next(DENY, 'No such user here')
}

exports.deliver = function (next, connection) {
    const transaction = connection.transaction
    const folders = transaction.rcpt_to.map((each) => this.mailboxes[each.address.toLowerCase()])
    const one = (number) => {
        if (number === folders.length) return next(OK)
        write(transaction.message_stream, folders[number], (error) => {
            if (error) return next(DENYSOFT, error.message)
            one(number + 1)
        })
    }
    one(0)
}

function write (stream, folder, done) {
    const name = `${Date.now()}.${process.pid}_${count++}.mx`
    const file = fs.createWriteStream(path.join(folder, 'tmp', name), { flags: 'wx', autoClose: false })
    file.on('error', done)
    file.on('finish', () => {
        fs.fsync(file.fd, (error) => {
            fs.close(file.fd, () => {
                if (error) return done(error)
                fs.rename(path.join(folder, 'tmp', name), path.join(folder, 'new', name), done)
            })
        })
    })
    stream.pipe(file, { line_endings: '\n' })
}
