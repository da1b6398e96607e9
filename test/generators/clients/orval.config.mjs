import { defineConfig } from 'orval';

export default defineConfig({
  eventdeck: {
    input: './openapi.json',
    output: { target: './generated/eventdeck.ts', client: 'fetch', baseUrl: 'http://127.0.0.1:8001' },
  },
});
