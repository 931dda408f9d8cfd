// tests/node/storm.js child|worker PROGRAM TOTAL EVERY leave|kill|die - a parent in Node, or a primary, that sends sockets
// to its child and is sent others by it, TOTAL of them both ways at once, with a long message behind EVERY of its own. When
// all is done it lets the child leave; or it kills it, or itself, in the midst. It knows nothing of muster.
'use strict';

const cluster = require('node:cluster');
const net = require('node:net');
const { spawn } = require('node:child_process');

const [role, program, ...rest] = process.argv.slice(2);
const [total, every] = rest.map(Number);
const [, , end] = rest;
const print = (...words) => process.stdout.write(`${words.join(' ').trimEnd()}\n`);
const count = { answered: 0, given: 0, wrong: 0 };

function start() {
	if (role === 'child')
		return spawn(program, ['mirror'], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
	process.execPath = program;
	cluster.setupPrimary({ exec: '{}', execArgv: [] });
	return cluster.fork();
}

const child = start();
const kill = () => (child.process ?? child).kill('SIGKILL');
const order = (port) => (role === 'child' ? { connect: port } : `connect ${port}`);

function finish() {
	Object.entries(count).forEach((pair) => print(...pair));
	down.close();
	up.close();
}

let over = false;

function progress() {
	const sum = count.answered + count.given;

	if (over)
		return;
	if (sum % 500 === 0)
		print('so far', sum);
	if (end === 'leave' && sum === 2 * total) {
		over = true;
		child.disconnect();
	} else if (end !== 'leave' && sum > total) {
		over = true;
		if (end === 'die')
			process.kill(process.pid, 'SIGKILL');
		kill();
	}
}

// What is accepted here is for the child; who connected hears from it his own port.
const open = new Set();
const down = net.createServer({ pauseOnConnect: true }, (socket) => {
	socket.on('error', () => {});
	if (every && socket.remotePort % every === 0)
		child.send('x'.repeat(100 * 1024), () => {});
	child.send(socket.remotePort, socket, () => {});
});

let asked = 0;

function ask() {
	if (over || asked++ >= total)
		return;

	let text = '';
	const client = net.connect(down.address().port, '127.0.0.1');

	open.add(client);
	client.on('error', () => {});
	client.on('data', (data) => (text += data));
	client.on('end', () => {
		if (text)
			count[parseInt(text, 10) === client.localPort ? 'answered' : 'wrong']++;
		progress();
	});
	client.on('close', () => open.delete(client) && ask());
}

// The child connects here, and sends that socket; what is written to it has to arrive.
const up = net.createServer((socket) => {
	let text = '';

	open.add(socket);
	socket.on('error', () => {});
	socket.on('data', (data) => (text += data));
	socket.on('end', () => {
		if (text)
			count[parseInt(text, 10) === socket.remotePort ? 'given' : 'wrong']++;
		progress();
	});
	socket.on('close', () => open.delete(socket) && connect());
});

let connected = 0;

function connect() {
	if (!over && connected++ < total)
		child.send(order(up.address().port), () => {});
}

child.on('error', () => {});
child.on('message', (message, socket) => socket?.on('error', () => {}).end(`${socket.localPort}`));
child.on('exit', (code, signal) => {
	print('exit', code ?? signal);
	open.forEach((socket) => socket.destroy());
	finish();
});

print('pid', (child.process ?? child).pid);
down.listen(0, '127.0.0.1', () => {
	up.listen(0, '127.0.0.1', () => {
		for (let i = 0; i < 50; i++) {
			ask();
			connect();
		}
	});
});
