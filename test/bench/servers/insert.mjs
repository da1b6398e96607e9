// Bare Fastify that stores an event with one prepared statement: no validation, no cache, no features.
import fastify from 'fastify';
import pg from 'pg';
import { ADDRESS, announce } from './listen.mjs';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

const INSERT = {
  name: 'insert',
  text: 'INSERT INTO plain_events (event_type, severity, message, details, source) VALUES ($1, $2, $3, $4, $5) RETURNING id',
};

const app = fastify();

app.post('/api/events', async (request, reply) => {
  const { event_type, severity, message, details, source } = request.body;
  const { rows } = await pool.query({ ...INSERT, values: [event_type, severity, message, details, source] });
  return reply.code(201).send(rows[0]);
});

await app.listen(ADDRESS);
announce(app.server);
