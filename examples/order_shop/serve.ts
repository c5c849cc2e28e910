/** The one thing in which the runtimes differ here. */
import { serve as serveOnNode } from "@hono/node-server";

/** What answers a request. */
export type Fetch = (request: Request) => Response | Promise<Response>;

/** A server that listens. */
export interface Serving {
  readonly url: string;
  close(): Promise<void>;
}

/** Listens on a port of this machine; 0: on one that is free. */
export async function serve(fetch: Fetch, port: number): Promise<Serving> {
  const hostname = "127.0.0.1";
  if ("Deno" in globalThis) {
    const server = Deno.serve({ hostname, port, onListen: () => {} }, fetch);
    return { url: `http://${hostname}:${server.addr.port}`, close: () => server.shutdown() };
  }
  if ("Bun" in globalThis) {
    // deno-lint-ignore no-explicit-any
    const server = (globalThis as any).Bun.serve({ hostname, port, fetch, idleTimeout: 0 }); // events may be rare
    return { url: `http://${hostname}:${server.port}`, close: () => server.stop(true) };
  }
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = serveOnNode({ fetch, hostname, port }, (address) => resolve(address.port));
  return {
    url: `http://${hostname}:${await promise}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
