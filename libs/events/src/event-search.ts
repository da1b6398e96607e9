/** ASCII punctuation: messages are opened up at it, or end a word there anyway. */
const PUNCTUATION = /[!-/:-@[-`{-~]+/g;

/**
 * A query for `websearch_to_tsquery`, every word as a phrase opened up at its punctuation, as messages are for the column
 * `search`, so that `api-7f9c4d` finds these two parts side by side. Quotes, a leading `-` and `or` mean what they mean
 * there.
 */
export function toSearch(text: string): string {
  const terms = text.matchAll(/(-?)(?:"([^"]*)"?|([^\s"]+))/g);
  return Array.from(terms, ([term, minus = '', quoted, word]) => {
    if (term.toLowerCase() === 'or') return term;
    const opened = (quoted ?? word ?? '').replace(PUNCTUATION, ' ').trim();
    return opened === '' ? '' : `${minus}"${opened}"`;
  })
    .filter((term) => term !== '')
    .join(' ');
}

/** What is wrong with a query for words, or `undefined`. */
export function checkSearch(text: string): string | undefined {
  return /[\p{L}\p{N}]/u.test(text) ? undefined : 'must hold a letter or a digit';
}
