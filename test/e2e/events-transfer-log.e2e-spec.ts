import pino from 'pino';
import { createApp } from '../../apps/api/src/app';
import { loadConfig } from '../../libs/platform/src';
import { useDatabases } from '../support/databases';
import { EVENT } from '../support/events';
import { send } from '../support/http';
import { until } from '../support/services';

interface Line {
  level: number;
  msg: string;
  path: string;
}

describe('the log of transfers', () => {
  const createDatabase = useDatabases();

  it('calls none of them slow, however long it takes', async () => {
    const { url } = await createDatabase();
    const lines: Line[] = [];
    const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
    const app = await createApp(loadConfig({ DATABASE_URL: url, PORT: '0', SLOW_REQUEST_MS: '1' }), logger);
    try {
      await app.listen(0, '127.0.0.1');
      const body = `${JSON.stringify(EVENT)}\n`.repeat(1000);
      const headers = { 'content-type': 'application/x-ndjson' };
      await send('POST', `${await app.getUrl()}/api/events/import`, { body, headers });
      for (const path of ['/export?format=json', '?limit=1000'])
        await send('GET', `${await app.getUrl()}/api/events${path}`);
      const requests = (): Line[] => lines.filter(({ msg }) => msg === 'request');
      await until(() => requests().length === 3, 'the requests are logged');
      const levels = requests().map(({ level, path }) => [path, level === pino.levels.values.warn]);
      expect(levels).toEqual([
        ['/api/events/import', false],
        ['/api/events/export', false],
        ['/api/events', true],
      ]);
    } finally {
      await app.close();
    }
  });
});
