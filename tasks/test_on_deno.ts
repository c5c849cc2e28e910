// Preloaded by `deno test`: its `node:test` swallows what is thrown or rejected outside of a test (2.9.6), even at the
// top of a file, and says ok. First come, this keeps it from doing so; Bun and Node fail such a file by themselves.
globalThis.addEventListener("unhandledrejection", (event) => event.stopImmediatePropagation());
globalThis.addEventListener("error", (event) => {
  // Deno alone reports the reset of a socket that was destroyed already, as that of a client whose login was refused.
  if (event.error?.syscall !== "read") event.stopImmediatePropagation();
});
