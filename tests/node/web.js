// tests/node/web.js - a web application as people write it, which knows nothing of muster. LISTEN is a JSON array of what
// it listens on; it answers /pid, /cwd, /words, /env/NAME, /late (listen on LATE, too) and /never.
'use strict';

const http = require('node:http');

function answer(request, response) {
	const [, what, name] = request.url.split('/');
	const answers = {
		pid: () => `${process.pid}`,
		cwd: () => process.cwd(),
		words: () => process.argv.slice(2).join(' '),
		env: () => process.env[name] ?? 'undefined',
		late: () => `${listen(JSON.parse(process.env.LATE))}`,
	};

	response.flushHeaders();
	if (answers[what])
		response.end(answers[what]());
}

function listen(place) {
	const server = http.createServer(answer);

	server.on('error', (error) => console.error(`web: ${error.code} ${error.syscall} ${JSON.stringify(place)}`));
	server.listen(place, () => console.log(`web: listening ${JSON.stringify(place)}`));
}

JSON.parse(process.env.LISTEN).forEach(listen);
