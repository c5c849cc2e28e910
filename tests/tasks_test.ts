import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { closingLine, countTests, table, total } from "../tasks/summary.ts";

describe("countTests", () => {
  it("reads the report of Deno, where groups are tests too", () => {
    const counts = countTests(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="9" failures="4" errors="1" time="6.196">
    <testsuite name="./tests/a_test.ts" tests="4" disabled="1" errors="1" failures="2">
        <testcase name="group" classname="./tests/a_test.ts" time="0.005" line="3" col="1">
            <failure message="2 test steps failed">2 test steps failed.</failure>
        </testcase>
        <testcase name="bad before" classname="./tests/a_test.ts" time="0.001" line="2" col="1">
            <failure message="Uncaught Error: before broke">Error: before broke
describe(&quot;bad before&quot;, () =&gt; { before(() =&gt; { throw new Error(&quot;before broke&quot;); });
    at file:///tests/a_test.ts:2:53</failure>
        </testcase>
        <testcase name="todo" classname="./tests/a_test.ts" time="0.000" line="16" col="1">
            <skipped/>
        </testcase>
        <testcase name="exits" classname="./tests/a_test.ts" time="0.000" line="4" col="1">
            <error message="Cancelled"/>
        </testcase>
    </testsuite>
    <testsuite name="ext:deno_node/testing.ts" tests="5" disabled="1" errors="0" failures="2">
        <testcase name="group &gt; passes" classname="ext:deno_node/testing.ts" time="0.000" line="1" col="23191">
        </testcase>
        <testcase name="group &gt; skipped" classname="ext:deno_node/testing.ts" time="0.000" line="1" col="21231">
            <skipped/>
        </testcase>
        <testcase name="group &gt; fails" classname="ext:deno_node/testing.ts" time="0.002" line="1" col="21231">
            <failure message="Uncaught AssertionError: Expected values to be strictly deep-equal:
+ actual - expected

+ &apos;&lt;/failure&gt;&lt;testcase name=&quot;x&quot;/&gt;&apos;
">AssertionError: Expected values to be strictly deep-equal</failure>
        </testcase>
        <testcase name="group &gt; inner" classname="ext:deno_node/testing.ts" time="0.000" line="1" col="21231">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
        <testcase name="group &gt; inner &gt; fails" classname="ext:deno_node/testing.ts" time="0.000" line="1" col="21231">
            <failure message="Uncaught Error: boom">Error: boom</failure>
        </testcase>
    </testsuite>
</testsuites>`);
    assert.deepEqual(counts, { passed: 1, failed: 4, skipped: 2 });
  });

  it("reads the report of Bun", () => {
    const counts = countTests(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="5" assertions="0" failures="1" skipped="2" time="6.058816223">
  <testsuite name="tests/a_test.ts" file="tests/a_test.ts" tests="5" assertions="0" failures="1" skipped="2" time="6.04">
    <testsuite name="group" file="tests/a_test.ts" line="4" tests="4" assertions="0" failures="1" skipped="1" time="0.02">
      <testcase name="passes" classname="group" time="0.001551" file="tests/a_test.ts" line="7" assertions="0" />
      <testcase name="skipped" classname="group" time="0" file="tests/a_test.ts" line="9" assertions="0">
        <skipped />
      </testcase>
      <testsuite name="inner" file="tests/a_test.ts" line="11" tests="2" assertions="0" failures="1" skipped="0" time="0">
        <testcase name="3 &gt; 2" classname="inner &gt; group" time="0.000094" file="tests/a_test.ts" line="12" assertions="0" />
        <testcase name="fails" classname="inner &gt; group" time="0.00022" file="tests/a_test.ts" line="7" assertions="0">
          <failure type="Error" message="boom&#10;second line">Error: boom&#10;second line&#10;      at tests/a_test.ts:7:72&#10;</failure>
        </testcase>
      </testsuite>
    </testsuite>
    <testcase name="todo" classname="" time="0" file="tests/a_test.ts" line="16" assertions="0">
      <skipped message="TODO" />
    </testcase>
  </testsuite>
</testsuites>`);
    assert.deepEqual(counts, { passed: 2, failed: 1, skipped: 2 });
  });

  it("reads the report of Node, where files may be tests too", () => {
    const counts = countTests(`<?xml version="1.0" encoding="utf-8"?>
<testsuites>
	<testsuite name="group" time="0.024751" disabled="0" errors="0" tests="3" failures="1" skipped="1" hostname="vm">
		<testcase name="3 > 2" time="0.000616" classname="group" file="/tests/a_test.ts"/>
		<testcase name="skipped" time="0.000442" classname="group" file="/tests/a_test.ts">
			<skipped type="skipped" message="true"/>
		</testcase>
		<testcase name="fails" time="0.002586" classname="group" file="/tests/a_test.ts" failure="1 !== 2&#10;">
			<failure type="testCodeFailure" message="1 !== 2">
[Error [ERR_TEST_FAILURE]: 1 !== 2] { code: 'ERR_TEST_FAILURE' }
			</failure>
		</testcase>
	</testsuite>
	<testcase name="todo" time="0.000873" classname="test" file="/tests/a_test.ts" failure="1 !== 2&#10;">
		<skipped type="todo" message="true"/>
		<failure type="testCodeFailure" message="1 !== 2">
[Error [ERR_TEST_FAILURE]: 1 !== 2] { code: 'ERR_TEST_FAILURE' }
		</failure>
	</testcase>
	<testcase name="tests/empty_test.ts" time="0.065481" classname="test" file="/tests/empty_test.ts"/>
	<!-- Error: Test "x" generated asynchronous activity: <testcase name="x"/> -->
	<testcase name="tests/broken_test.ts" time="0.068490" classname="test" file="/tests/broken_test.ts" failure="test failed">
		<failure type="testCodeFailure" message="test failed">
[Error: test failed] { code: 'ERR_TEST_FAILURE', exitCode: 1, signal: null }
		</failure>
	</testcase>
	<!-- tests 6 -->
</testsuites>`);
    assert.deepEqual(counts, { passed: 1, failed: 2, skipped: 2 });
  });

  it("finds nothing in what is no report", () => {
    assert.deepEqual(countTests(""), { passed: 0, failed: 0, skipped: 0 });
  });
});

describe("the end of a run", () => {
  it("is a line that names what was skipped only if there is some", () => {
    const deno = { passed: 3, failed: 0, skipped: 0 };
    assert.equal(closingLine(deno), "3 passed, 0 failed");
    assert.equal(closingLine(total([deno, { passed: 2, failed: 1, skipped: 4 }])), "5 passed, 1 failed, 4 skipped");
  });

  it("has a table above it", () => {
    const rows = [["runtime", "version", "passed"], ["deno", "2.9.6", 12], ["node", "24.21.0", 1200]];
    assert.equal(table(rows), "runtime  version  passed\ndeno     2.9.6        12\nnode     24.21.0    1200");
  });
});
