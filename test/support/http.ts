/** An answer, read to its end. */
export interface Answer<Body = unknown> {
  status: number;
  headers: Headers;
  text: string;
  /** The body as JSON; `undefined` when there is none. */
  body: Body;
}

/** Sends a request over HTTP; an object or array as `json` is sent as JSON. */
export async function send<Body = unknown>(
  method: string,
  url: string,
  {
    json,
    headers,
    ...init
  }: Omit<RequestInit, 'method' | 'headers'> & { json?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer<Body>> {
  const response = await fetch(url, {
    method,
    ...init,
    headers: { ...(json !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(json !== undefined && { body: JSON.stringify(json) }),
  });
  const text = await response.text();
  const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '');
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (isJson && text !== '' ? JSON.parse(text) : undefined) as Body,
  };
}
