// Preloaded by `deno test`: its `node:test` swallows what is thrown or rejected outside of a test (2.9.6), even at the
// top of a file, and says ok. First come, this keeps it from doing so; Bun and Node fail such a file by themselves.
for (const type of ["error", "unhandledrejection"]) {
  globalThis.addEventListener(type, (event) => event.stopImmediatePropagation());
}
