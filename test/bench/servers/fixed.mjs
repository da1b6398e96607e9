// Bare Fastify that gives every request the same answer.
import fastify from 'fastify';
import { ADDRESS, announce } from './listen.mjs';

const { ANSWER, CONTENT_TYPE } = process.env;

const app = fastify();

app.get('/api/events/:id', (request, reply) => reply.type(CONTENT_TYPE).send(ANSWER));

await app.listen(ADDRESS);
announce(app.server);
