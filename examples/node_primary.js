// node_primary.js - Node's own primary, and workers in C: node node_primary.js build/dev/examples/worker_for_node [PORT]
// Try: nc localhost 8080, several times.
'use strict';

const cluster = require('node:cluster');

const [program, port = '8080'] = process.argv.slice(2);

// cluster starts process.execPath with `exec` as its argument: with this it is our program, and the argument is its port.
process.execPath = program;
cluster.setupPrimary({ exec: port, execArgv: [] });

cluster.on('listening', (worker, address) => console.log(`worker ${worker.id} listening on port ${address.port}`));
cluster.on('message', (worker, message) => console.log(`worker ${worker.id} says ${JSON.stringify(message)}`));
cluster.on('exit', (worker) => worker.exitedAfterDisconnect || cluster.fork());

for (let i = 0; i < 2; i++)
	cluster.fork();

process.once('SIGTERM', () => cluster.disconnect());
