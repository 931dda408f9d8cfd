// tests/node/worker.js - a worker in Node, which knows nothing of muster: it serves, and does what its primary says.
// Its argument is JSON: listen, what each of its servers listens on; http; tls, files with a key and its certificate;
// quiet, echo without a greeting.
'use strict';

const cluster = require('node:cluster');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');

const settings = JSON.parse(process.argv[2] ?? '{}');
const { id } = cluster.worker;
const servers = [];
const hoard = [];

const say = (message) => process.send(message);

function greet(socket) {
	socket.on('error', () => {});
	if (!settings.quiet)
		socket.write(`${id}\n`);
	socket.pipe(socket);
}

const answer = (request, response) => response.end(`worker ${id}`);

function make() {
	if (settings.tls) {
		const [key, cert] = [settings.tls.key, settings.tls.cert].map((path) => fs.readFileSync(path));

		return https.createServer({ key, cert }, answer);
	}
	return settings.http ? http.createServer(answer) : net.createServer(greet);
}

function serve(listen) {
	const server = make();

	server.on('error', (error) => say(`error ${error.code} ${error.syscall}`));
	server.listen(listen);
	servers.push(server);
	return server;
}

// Ask whoever serves there now.
function fetch(port) {
	https.get({ host: '127.0.0.1', port, agent: false, rejectUnauthorized: false }, (response) => {
		response.setEncoding('utf8').on('data', (text) => say(`got ${text}`));
	});
}

// All descriptors but none: whatever arrives next cannot be received.
function exhaust() {
	try {
		for (;;)
			hoard.push(fs.openSync('/dev/null'));
	} catch {
		say('exhausted');
	}
}

function release() {
	hoard.splice(0).forEach((fd) => fs.closeSync(fd));
	say('released');
}

// Send `count` connections to that port, each with its local port, and `filler` bytes before each.
function give(port, count, filler) {
	for (let i = 0; i < count; i++) {
		const socket = net.connect(port, '127.0.0.1', () => {
			if (filler)
				say('x'.repeat(filler));
			process.send(socket.localPort, socket);
		});
	}
}

process.on('message', (message, handle) => {
	if (handle instanceof net.Server)
		say(handle.on('connection', greet).unref() && 'serving');
	else if (handle)
		(handle instanceof net.Socket ? handle : new net.Socket({ handle })).on('error', () => {}).end(`${JSON.stringify(message)}\n`);
	else if (message?.run)
		eval(message.run);
	else if (message?.echo !== undefined)
		say(message.echo);
});

(settings.listen ?? []).forEach(serve);
