/** How many tests ended how. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Values are quoted, and hold anything but a quote: Node does not escape `>`. */
const TEST_CASE = /<testcase((?:\s+[\w-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g;

/**
 * Counts the tests in a JUnit report of `deno test`, `bun test` or `node --test`. All three write one, and unlike their
 * closing lines they mean the same by it, but for this:
 * - Deno lists a `describe` as a test beside its tests. It is one only if it failed by itself, in a hook.
 * - Node lists a file as a test if it failed as a whole, or if there was none in it.
 */
export function countTests(report: string): Counts {
  const cases = [...report.replaceAll(/<!--[\s\S]*?-->/g, "").matchAll(TEST_CASE)]
    .map(([, attributes = "", body = ""]) => ({ name: /\sname="([^"]*)"/.exec(attributes)?.[1] ?? "", body }));
  const groups = new Set(cases.flatMap(({ name }) => prefixes(name.split(" &gt; "))));

  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { name, body } of cases) {
    const isGroup = groups.has(name) || name.endsWith("_test.ts");
    if (/<skipped\b/.test(body)) counts.skipped++;
    else if (/<(?:failure|error)\b/.test(body)) {
      if (!/<failure message="\d+ test steps? failed"/.test(body)) counts.failed++;
    } else if (!isGroup) counts.passed++;
  }
  return counts;
}

function prefixes(path: readonly string[]): string[] {
  return path.slice(1).map((_, index) => path.slice(0, index + 1).join(" &gt; "));
}

/** All of them together. */
export function total(all: readonly Counts[]): Counts {
  const sum = (key: keyof Counts): number => all.reduce((sum, counts) => sum + counts[key], 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
}

/** In one line, as other tools read it too. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`;
}

/** Columns side by side: words to the left, numbers to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  const cell = (value: string | number, column: number): string =>
    column < 2 ? String(value).padEnd(widths[column] ?? 0) : String(value).padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(cell).join("  ").trimEnd()).join("\n");
}
