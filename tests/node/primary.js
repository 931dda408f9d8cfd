// tests/node/primary.js PROGRAM rr|none - a primary in Node, which knows nothing of muster; PROGRAM is its workers'.
// It runs each line of its input and prints what happens to its workers.
'use strict';

const cluster = require('node:cluster');
const net = require('node:net');
const readline = require('node:readline');

const [program, policy] = process.argv.slice(2);
const print = (...words) => process.stdout.write(`${words.join(' ')}\n`);

cluster.schedulingPolicy = policy === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR;

// No setting of cluster names the program, but this does; it finds `exec` in its first argument.
process.execPath = program;
process.execArgv = [];

function start(settings, count = 1) {
	cluster.setupPrimary({ exec: JSON.stringify(settings), execArgv: [] });
	for (let i = 0; i < count; i++)
		cluster.fork();
}

let passing;

// A server of our own, whose connections are sent to a worker; `message` makes what is said with the nth of them.
function pass(id, message) {
	let count = 0;

	passing = net.createServer({ pauseOnConnect: true }, (socket) => {
		cluster.workers[id].send(message(count++), socket);
	});
	passing.listen(0, '127.0.0.1', () => print('passing', passing.address().port));
}

const short = (message) => {
	const text = JSON.stringify(message);

	return text.length > 200 ? `${text.length} bytes` : text;
};

cluster.on('online', (worker) => print('online', worker.id));
cluster.on('listening', (worker, { address, port, addressType }) =>
	print('listening', worker.id, addressType, address, port));
cluster.on('message', (worker, message, handle) => {
	print('message', worker.id, short(message), handle ? 'handle' : '');
	handle?.end?.(`${JSON.stringify(message)}\n`);
});
cluster.on('disconnect', (worker) => print('disconnect', worker.id, worker.exitedAfterDisconnect));
cluster.on('exit', (worker, code, signal) => print('exit', worker.id, code, signal, worker.exitedAfterDisconnect));

readline.createInterface({ input: process.stdin }).on('line', (line) => eval(line));
