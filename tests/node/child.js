// tests/node/child.js - a child in Node, which knows nothing of muster: it sends back what it is sent, says a message
// on the socket that comes with it, accepts on a server, and runs { run: 'JavaScript' }.
'use strict';

const net = require('node:net');

let server;

process.on('message', (message, handle) => {
	if (handle instanceof net.Server) {
		server = handle;
		server.on('connection', (socket) => socket.end('served by Node\n'));
		process.send('serving');
	} else if (handle) {
		(handle instanceof net.Socket ? handle : new net.Socket({ handle })).on('error', () => {}).end(`${JSON.stringify(message)}\n`);
	} else if (message?.run) {
		eval(message.run);
	} else {
		process.send(message);
	}
});

process.send('ready');
