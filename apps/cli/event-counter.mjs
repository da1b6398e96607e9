const LINE_FEED = 0x0a;
const QUOTE = 0x22;

/** Counts the events of an export as its chunks come: a function of the chunk. */
export function eventCounter(format) {
  if (format !== 'csv') return format === 'ndjson' ? countLines : jsonCounter();
  let isQuoted = false;
  let isHeader = true;
  return (chunk) => {
    let count = 0;
    for (let at = 0; at < chunk.length; at++) {
      if (chunk[at] === QUOTE) isQuoted = !isQuoted;
      else if (chunk[at] === LINE_FEED && !isQuoted) {
        if (!isHeader) count++;
        isHeader = false;
      }
    }
    return count;
  };
}

// The first line is the bracket, every other one an event, the last one the other bracket.
function jsonCounter() {
  let lines = 0;
  let events = 0;
  return (chunk) => {
    lines += countLines(chunk);
    const before = events;
    events = Math.max(0, lines - 2);
    return events - before;
  };
}

function countLines(chunk) {
  let count = 0;
  for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}
