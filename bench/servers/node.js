// Node's cluster, in the plain way: node node.js hand-over|shared WORKERS PORT
'use strict';

const cluster = require('cluster');
const net = require('net');

const [policy, workers, port] = process.argv.slice(2);

if (cluster.isPrimary) {
	cluster.schedulingPolicy = policy === 'shared' ? cluster.SCHED_NONE : cluster.SCHED_RR;
	for (let i = 0; i < Number(workers); i++)
		cluster.fork();
} else {
	net.createServer((socket) => {
		socket.on('error', () => {}); // a client that resets is everyday life
		socket.pipe(socket);
	}).listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
}
