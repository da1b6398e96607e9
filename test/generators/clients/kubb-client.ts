import type { Client, ResponseConfig } from '@kubb/plugin-client/clients/fetch';

/** A client for the functions that kubb generates: with a Content-Type, lists that repeat, and bodies of any type. */
export function kubbClient(baseUrl: string): Client {
  return async <Data>({ method, url, params, data, headers }: Parameters<Client>[0]): Promise<ResponseConfig<Data>> => {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries((params ?? {}) as Record<string, unknown>)) {
      for (const each of [value].flat()) if (each !== undefined) query.append(name, String(each));
    }
    const response = await fetch(`${baseUrl}${url}?${query}`, {
      ...(method && { method }),
      headers: {
        ...(data !== undefined && { 'Content-Type': 'application/json' }),
        ...Object.fromEntries(Object.entries(headers ?? {})),
      },
      ...(data !== undefined && { body: JSON.stringify(data) }),
    });
    const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '');
    const body = isJson ? await response.json() : await response.text();
    if (!response.ok) throw new Error(`${response.status}: ${JSON.stringify(body)}`);
    const { status, statusText, headers: received } = response;
    return { data: body as Data, status, statusText, headers: received };
  };
}
