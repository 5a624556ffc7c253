import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { until } from "@isthmus/testing";
import { createE2eSuite, logName, suiteImages } from "./e2e-suite.js";

const NAME = "[sig-network] Netpol should work (twice) [Feature:NetworkPolicy]";

/** A suite whose program and kubectl are these shell scripts. `$REPORT` is the file that the program is to write. */
async function suiteOf(t: TestContext, script: string, kubectlScript = "exit 1") {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-conformance-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const program = join(folder, "e2e.test");
  const find = 'for flag; do case "$flag" in --ginkgo.json-report=*) REPORT=$(echo "$flag" | cut -d= -f2);; esac; done';
  await writeFile(program, `#!/bin/sh\n${find}\n${script}\n`, { mode: 0o755 });
  const kubectl = join(folder, "kubectl");
  await writeFile(kubectl, `#!/bin/sh\ncd ${folder}\n${kubectlScript}\n`, { mode: 0o755 });
  const out = join(folder, "out");
  const suite = createE2eSuite({ program, kubectl, kubeconfig: "/kubeconfig", context: "east", out });
  return { suite, program, kubectl, out, log: join(out, logName(NAME)) };
}

const spec = (state: string) =>
  JSON.stringify([
    {
      SpecReports: [
        {
          ContainerHierarchyTexts: ["[sig-network] Netpol"],
          LeafNodeType: "It",
          LeafNodeText: "should work (twice) [Feature:NetworkPolicy]",
          State: state,
          RunTime: 1e9,
        },
      ],
    },
  ]);

test("the program is run for one spec of one cluster, and its report is read", async (t) => {
  const { suite, kubectl, log, out } = await suiteOf(t, `printf '%s\\n' "$@"; echo '${spec("passed")}' > "$REPORT"`);
  assert.equal((await suite.run(NAME, new AbortController().signal)).passed, true);
  const flags = (await readFile(log, "utf8")).split("\n");
  for (const flag of ["--kubeconfig=/kubeconfig", "--context=east", `--kubectl-path=${kubectl}`, "--provider=skeleton"])
    assert.ok(flags.includes(flag), flag);
  assert.ok(
    flags.includes("--ginkgo.focus=\\[sig-network\\] Netpol should work \\(twice\\) \\[Feature:NetworkPolicy\\]$"),
  );
  assert.ok(!existsSync(join(out, "report.json")));
});

test("an exit code other than 0 is a failed spec when there is a report, and else an error that names the output", async (t) => {
  const failed = await suiteOf(t, `echo '${spec("failed")}' > "$REPORT"; exit 1`);
  assert.equal((await failed.suite.run(NAME, new AbortController().signal)).passed, false);
  const crashed = await suiteOf(t, "exit 2");
  await assert.rejects(
    crashed.suite.run(NAME, new AbortController().signal),
    /without a report \(exit 2\): see netpol-should/,
  );
});

test("an abort ends the program, and rejects with its reason", async (t) => {
  const { suite, log } = await suiteOf(t, 'trap "" INT TERM; echo "started $$"; while :; do sleep 0.01; done');
  const stop = new AbortController();
  const run = suite.run(NAME, stop.signal);
  run.catch(() => undefined);
  const started = async () => /started (\d+)/.exec(await readFile(log, "utf8").catch(() => ""))?.[1];
  await until("the program runs", async () => (await started()) !== undefined);
  stop.abort(new Error("interrupted"));
  await assert.rejects(run, /interrupted/);
  assert.ok(!existsSync(`/proc/${await started()}`));
});

test("namespaces of killed specs are deleted by the label that the suite gives them", async (t) => {
  const { suite, out } = await suiteOf(t, "exit 1", 'echo "$@" > called');
  await suite.cleanUp();
  assert.equal(
    await readFile(join(out, "../called"), "utf8"),
    "--kubeconfig=/kubeconfig --context=east delete namespaces --selector e2e-run --wait=false\n",
  );
});

test("names and images come from the program's listings", async (t) => {
  const listing = `case "$1" in
    --list-tests) printf 'Names:\\n    a/b.go:7: ${NAME}\\n\\n';;
    --list-images) printf 'host/e2e-test-images/agnhost:2.56\\nhost/pause:3\\n';;
  esac`;
  const { suite, program } = await suiteOf(t, listing);
  assert.deepEqual(await suite.specNames(), [NAME]);
  assert.deepEqual(await suiteImages(program), ["host/e2e-test-images/agnhost:2.56", "host/pause:3"]);
  const broken = await suiteOf(t, "exit 1");
  await assert.rejects(broken.suite.specNames(), /Command failed/);
});
