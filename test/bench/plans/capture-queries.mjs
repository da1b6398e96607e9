// Loaded into the application with `node --import`: writes every statement that it sends down, as a line of JSON each.
import { appendFileSync } from 'node:fs';
import pg from 'pg';

const { query } = pg.Client.prototype;

pg.Client.prototype.query = function capturingQuery(statement, values, ...rest) {
  capture(statement, values);
  return query.call(this, statement, values, ...rest);
};

// A statement is a text, a `{ name, text, values }`, or something that runs itself (a cursor), which holds the two.
function capture(statement, values) {
  const { name, text, values: own } = typeof statement === 'string' ? { text: statement } : statement;
  const given = own ?? (Array.isArray(values) ? values : []);
  appendFileSync(process.env.BENCH_CAPTURE_FILE, `${JSON.stringify({ name, text, values: given })}\n`);
}
