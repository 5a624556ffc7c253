/** Every object must pass the verifier; the number of processed instructions is reported and limited. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { native } from "./native.js";
import { OBJECTS } from "./testing/objects.js";

const MOST = 100_000;
/** No programs, or those of pod.bpf.c once more. */
const WITHOUT = new Set(["schema.bpf.o", "refused_test.bpf.o", "dialling_test.bpf.o"]);

for (const name of readdirSync(OBJECTS).filter((file) => file.endsWith(".bpf.o") && !WITHOUT.has(file))) {
  test(`${name} passes the verifier within ${MOST} instructions a program`, (t) => {
    const { maps, programs } = native().loadObject(`${OBJECTS}/${name}`, {});
    for (const [program, { fd }] of Object.entries(programs)) {
      const { instructions, verifiedInstructions } = native().programInfo(fd);
      t.diagnostic(`${program}: ${instructions} instructions, ${verifiedInstructions} walked by the verifier`);
      assert.ok(verifiedInstructions > 0 && verifiedInstructions < MOST, `${program}: ${verifiedInstructions}`);
      fd.close();
    }
    for (const map of Object.values(maps)) map.close();
  });
}
