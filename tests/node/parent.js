// tests/node/parent.js PROGRAM FD[ silent][ advanced] ARGUMENT SCRIPT - a parent in Node, which does not know muster:
// it starts a program with a channel at that descriptor, runs the script, and prints what happens to its child.
'use strict';

const net = require('node:net');
const { spawn } = require('node:child_process');

const [program, how, argument, script] = process.argv.slice(2);
const [fd, ...words] = how.split(' ');
const print = (...what) => process.stdout.write(`${what.join(' ').trimEnd()}\n`);

const stdio = Array(Math.max(3, Number(fd) + 1)).fill('ignore');
stdio.fill(words.includes('silent') ? 'pipe' : 'inherit', 0, 3);
stdio[fd] = 'ipc';

const child = spawn(program, [argument], { stdio, serialization: words.includes('advanced') ? 'advanced' : 'json' });

let heard = 0;
let enough = [Infinity];

// Do this when so many messages have come.
function hear(count, then) {
	enough = [count, then];
}

child.on('message', (message, handle) => {
	const text = JSON.stringify(message);

	print('message', text.length > 200 ? `${text.length} bytes` : text, handle?.constructor.name);
	if (++heard === enough[0])
		enough[1]();
});
child.on('disconnect', () => print('disconnect'));
child.on('exit', (code, signal) => print('exit', code, signal));

eval(script);
