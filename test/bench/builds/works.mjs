import { HttpClient } from '../lib/http-client.mjs';
import { BATCH_REQUEST } from '../rows/batch.mjs';
import { depthIn, follow } from '../rows/depth.mjs';
import { storeAndRead } from '../rows/get.mjs';
import { LIST } from '../rows/list.mjs';
import { POST_REQUESTS } from '../rows/post.mjs';
import { STATS } from '../rows/stats.mjs';

/**
 * What two builds are compared by, by the ids of the rows: what `--only` names.
 *
 * @property connections that send the requests at once
 * @property isLarge whether the database is the large table
 * @property variables of the environment
 * @property figure `cpu` of a request, or `memory` after each round
 * @property prepare takes an application and the rows of its table, and returns the requests to send in turn
 */
export const WORKS = {
  post: { connections: 64, figure: 'cpu', prepare: () => POST_REQUESTS },
  'post-1': { connections: 1, figure: 'cpu', prepare: () => POST_REQUESTS },
  get: {
    connections: 64,
    figure: 'cpu',
    prepare: async ({ url }) => (await storeAndRead(url)).paths.map((path) => ({ method: 'GET', path })),
  },
  list: { connections: 32, figure: 'cpu', isLarge: true, prepare: () => [LIST] },
  batch: { connections: 8, figure: 'cpu', prepare: () => [BATCH_REQUEST] },
  stats: {
    connections: 8,
    figure: 'cpu',
    isLarge: true,
    variables: { CACHE: 'off' },
    prepare: () => [{ method: 'GET', path: STATS }],
  },
  depth: { connections: 8, figure: 'cpu', isLarge: true, prepare: deepPage },
  memory: { connections: 64, figure: 'memory', prepare: () => POST_REQUESTS },
};

async function deepPage({ url }, rows) {
  const client = new HttpClient(url);
  try {
    const { next } = await follow(client, depthIn(rows));
    next.searchParams.set('limit', '100');
    return [{ method: 'GET', path: `${next.pathname}${next.search}` }];
  } finally {
    client.close();
  }
}
