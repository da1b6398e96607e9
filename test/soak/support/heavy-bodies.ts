/** A file of which no event can be stored. */
export interface HopelessFile {
  name: string;
  type: string;
  body: string;
  events: number;
}

/** A batch near the limit of 16 MiB. */
export interface LargeBatch {
  name: string;
  body: string;
  events: number;
  /** Whether the service may set a limit on what it is made of. */
  mayBeRefused: boolean;
}

/** Events of a file that is read to its end, and of one that need not be. */
const FILE_EVENTS = [4000, 80_000];

const NDJSON = 'application/x-ndjson';

const FILES: ((events: number) => Omit<HopelessFile, 'events'>)[] = [
  (events) => ({ name: 'lines that are no JSON', type: NDJSON, body: 'x\n'.repeat(events) }),
  (events) => ({ name: 'lines without a field', type: NDJSON, body: '{}\n'.repeat(events) }),
  (events) => ({ name: 'numbers', type: 'application/json', body: `[${Array(events).fill('1').join()}]` }),
  (events) => ({
    name: 'records of one cell',
    type: 'text/csv',
    body: `event_type,severity,message\n${'x\n'.repeat(events)}`,
  }),
];

const BATCHES: { name: string; events: number; fields: () => object; mayBeRefused?: true }[] = [
  // 9,000 numbers of 8 digits: 80 KiB.
  { name: 'long lists', events: 200, fields: () => ({ details: { list: Array(9000).fill(12_345_678) } }) },
  {
    name: 'long messages',
    events: 240,
    fields: () => ({ message: 'lorem ipsum dolor '.repeat(3640).slice(0, 65_500) }),
  },
  // 255 KiB, which cost many times that once they are read.
  {
    name: 'empty objects',
    events: 63,
    fields: () => ({ details: { list: Array(87_000).fill({}) } }),
    mayBeRefused: true,
  },
];

/** All kinds in turn, short and long. */
export function hopelessFiles(index: number): HopelessFile {
  const events = FILE_EVENTS[index % FILE_EVENTS.length]!;
  return { ...FILES[Math.floor(index / FILE_EVENTS.length) % FILES.length]!(events), events };
}

/** All kinds in turn, of events of `source`. */
export function largeBatches(index: number, source: string): LargeBatch {
  const { name, events, fields, mayBeRefused = false } = BATCHES[index % BATCHES.length]!;
  const event = JSON.stringify({ event_type: 'large', severity: 'info', message: name, source, ...fields() });
  return { name, events, body: `[${Array(events).fill(event).join()}]`, mayBeRefused };
}
