// A reporter of one line: how many tests passed, failed and were skipped.

export default async function* summary(events) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    // A file, and a suite around tests, are no tests.
    if (data.details?.type === "suite" || data.file === data.name || /\.test\.js$/.test(data.name)) {
      if (type === "test:fail" && /\.test\.js$/.test(data.name)) count.failed += 1;
      continue;
    }
    if (data.skip !== undefined || data.todo !== undefined) count.skipped += 1;
    else count[type === "test:pass" ? "passed" : "failed"] += 1;
  }
  yield `browser tests: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`;
}
