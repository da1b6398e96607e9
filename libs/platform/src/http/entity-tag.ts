/** An entity tag (RFC 9110, section 8.8.3): `W/"x"` is weak. */
export interface EntityTag {
  weak: boolean;
  value: string;
}

const ENTITY_TAG = /(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/g;

/** The list of an `If-Match` or `If-None-Match` header; `*` stands for any; what is no entity tag is passed over. */
export function parseEntityTags(header: string): EntityTag[] | '*' {
  if (header.trim() === '*') return '*';
  return Array.from(header.matchAll(ENTITY_TAG), ([, weak, value = '']) => ({ weak: weak !== undefined, value }));
}

/** `If-None-Match` by the weak comparison (RFC 9110, section 13.1.2): `true` means not modified. */
export function isNotModified(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const tags = parseEntityTags(header);
  const opaque = etag.startsWith('W/') ? etag.slice(2) : etag;
  return tags === '*' || tags.some(({ value }) => `"${value}"` === opaque);
}

/** `If-Match` by the strong comparison (RFC 9110, section 13.1.1); an absent header always holds. */
export function preconditionHolds(header: string | undefined, etag: string): boolean {
  if (header === undefined) return true;
  const tags = parseEntityTags(header);
  return tags === '*' || tags.some(({ weak, value }) => !weak && `"${value}"` === etag);
}
