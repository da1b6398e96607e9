import assert from 'node:assert/strict';
import * as client from './client';
import type { Client, NewEvent, Operations, StoredEvent } from './operations';

// Drives a generated client against the service at the first argument, and prints what became of each operation.

const [url = '', name = ''] = process.argv.slice(2);

const DETAILS = { http: { status: 504 }, 'service.name': 'api' };

type Check = (operations: Operations, source: string, stored: StoredEvent[]) => Promise<unknown>;

const CHECKS: Record<keyof Operations, Check> = {
  create: async ({ create }, source) => {
    const event = await create({ ...newEvent('created', `${source}-created`), details: DETAILS });
    assert.deepEqual(await read(`/api/events/${event.id}`), event);
    assert.equal(event.message, 'created');
  },
  get: async ({ get }, _source, [first]) => {
    assert(first);
    assert.deepEqual(await get(first.id), first);
  },
  list: async ({ list }, source, stored) => {
    const found = await list({
      event_type: ['backup', 'deploy'],
      severity: ['info', 'critical'],
      source: [source, 'x'],
    });
    assert.deepEqual(found, [stored[2], stored[0]]);
  },
  details: async ({ details }, source, stored) => {
    const found = await details({ details: { 'http.status': '504', '"service.name"': 'api' }, source: [source] });
    assert.deepEqual(found, [stored[0]]);
  },
  batch: async ({ batch }, source) => {
    const { accepted } = await batch(['one', 'two'].map((message) => newEvent(message, `${source}-batch`)));
    assert.equal(accepted, 2);
    assert.equal(((await read(`/api/events?source=${source}-batch`)) as unknown[]).length, 2);
  },
  exportJson: async ({ exportJson }, source, stored) => {
    assert.deepEqual(await exportJson([source]), stored);
  },
  exportNdjson: async ({ exportNdjson }, source, stored) => {
    const lines = (await exportNdjson([source])).trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line) as unknown),
      stored,
    );
  },
  importJson: async ({ importJson }, source, stored) => {
    const { imported } = await importJson(stored.map((event) => ({ ...event, source: `${source}-imported` })));
    assert.equal(imported, 3);
    assert.equal(((await read(`/api/events?source=${source}-imported`)) as unknown[]).length, 3);
  },
};

function newEvent(message: string, source: string): NewEvent {
  return { event_type: 'deploy', severity: 'info', message, source };
}

async function read(path: string): Promise<unknown> {
  return (await fetch(`${url}${path}`)).json();
}

/** Three events, the oldest first. */
async function store(source: string): Promise<StoredEvent[]> {
  const events = [
    { ...newEvent('first', source), details: DETAILS },
    { ...newEvent('second', source), severity: 'warning' },
    { ...newEvent('third', source), event_type: 'backup', severity: 'critical' },
  ];
  for (const [index, event] of events.entries()) {
    const timestamp = `2026-01-31T0${index}:00:00Z`;
    const headers = { 'Content-Type': 'application/json' };
    await fetch(`${url}/api/events`, { method: 'POST', headers, body: JSON.stringify({ ...event, timestamp }) });
  }
  return (await read(`/api/events?source=${source}&sort=timestamp`)) as StoredEvent[];
}

async function outcome(check: Check, operations: Operations, source: string, stored: StoredEvent[]): Promise<string> {
  try {
    await check(operations, source, stored);
    return 'works';
  } catch (error) {
    return describe(error);
  }
}

// Clients throw errors, responses and bodies.
function describe(error: unknown): string {
  if (error instanceof Response) return `${error.status}`;
  const { status, message = '' } = error as { status?: number; message?: string };
  return `${status ?? ''} ${message === '' ? JSON.stringify(error) : message}`.trim();
}

async function main(): Promise<void> {
  const outcomes: Record<string, Record<string, string>> = {};
  for (const way of ['generated', 'around'] as const) {
    const source = `${name}-${way}`;
    const stored = await store(source);
    const operations = (client as Client)[way](url);
    const results: Record<string, string> = (outcomes[way] = {});
    for (const [operation, check] of Object.entries(CHECKS)) {
      if (!(operation in operations)) continue;
      results[operation] = await outcome(check, operations as Operations, source, stored);
    }
  }
  console.log(JSON.stringify(outcomes));
}

void main();
