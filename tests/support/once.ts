/** Whether all is run here: Bun and Node get less of what takes long and is no different there. */
export const ON_DENO: boolean = "Deno" in globalThis;

/**
 * For `skip`, of what is slow and the same everywhere: the same requests to the same servers, sent by code that knows no
 * runtime. What runtimes differ in (sockets, timers, processes) is tested on each.
 */
export const ON_DENO_ONLY: false | string = ON_DENO ? false : "no different here, and slow: it is on Deno";
