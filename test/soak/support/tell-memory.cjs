// Loaded before the application: tells every ten seconds what memory is held once the garbage is collected. V8 collects
// it when it likes, so that what a process holds otherwise says more of V8 than of what leaks.
const { setInterval } = require('node:timers');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');

setInterval(() => {
  collectGarbage();
  const { rss, heapUsed } = process.memoryUsage();
  process.stdout.write(`${JSON.stringify({ level: 'info', msg: 'memory', rss, heapUsed })}\n`);
}, 10_000).unref();
