// node_worker.js - an HTTP server as anybody writes it. Under a primary, in C or in Node, it is a worker; see
// primary_for_node.c. Alone it is a server.
'use strict';

const http = require('node:http');

http.createServer((request, response) => {
	response.end('hello from Node\n');
}).listen(Number(process.env.PORT ?? 8080));
