import { giveTurn } from '@app/platform';

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * The starts of the local days that a span touches, in milliseconds since 1970: the first moment at which the date of
 * `timeZone` is that day or a later one. A day that a zone skipped (30 December 2011 in Samoa) has none.
 */
export async function dayStarts(since: number, until: number, timeZone: string): Promise<number[]> {
  const offsetAt = offsetsOf(timeZone);
  const starts: number[] = [];
  // Two days early: the first ones only find the offset that holds when the day of `since` begins.
  const firstDay = Math.floor((since + offsetAt(since)) / DAY_MS) - 2;
  let offset = offsetAt(firstDay * DAY_MS);
  for (let day = firstDay; ; day++) {
    const turn = giveTurn();
    if (turn) await turn;
    const start = startOf(day * DAY_MS, offset, offsetAt);
    if (start >= until) break;
    offset = offsetAt(start);
    const previous = starts.at(-1);
    if (previous !== undefined && (start <= since || start <= previous)) starts.pop();
    starts.push(start);
  }
  return starts;
}

// Where clocks change at midnight, midnight is there twice, or not at all: then the day starts as they change.
function startOf(localMidnight: number, previousOffset: number, offsetAt: (time: number) => number): number {
  const before = localMidnight - previousOffset;
  const offset = offsetAt(before);
  const after = localMidnight - offset;
  return offsetAt(after) === offset ? after : before;
}

/** How far a zone's clocks are ahead of UTC at a time, both in milliseconds. */
function offsetsOf(timeZone: string): (time: number) => number {
  const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  // The same moment is asked for some times over, and each time costs microseconds.
  let last = { time: NaN, offset: NaN };
  return (time) => {
    if (time !== last.time) last = { time, offset: offsetAt(time) };
    return last.offset;
  };

  function offsetAt(time: number): number {
    const [, sign, ...digits] = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(format.format(time)) ?? [];
    const [hours = 0, minutes = 0, seconds = 0] = digits.map((text) => Number(text ?? 0));
    return (sign === '-' ? -1 : 1) * ((hours * 60 + minutes) * 60 + seconds) * 1000;
  }
}

/** What is wrong with the name of a time zone, or `undefined`. */
export function checkTimeZone(name: string): string | undefined {
  const problem = 'must be the name of a time zone, such as Europe/Berlin or UTC';
  // An offset such as +01:00 is no name, though JavaScript takes it for one.
  if (!/^[A-Za-z]/.test(name)) return problem;
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return undefined;
  } catch {
    return problem;
  }
}
