import assert from "node:assert/strict";
import { test } from "node:test";
import { Affinity } from "@isthmus/proto";
import { DEFAULT_ANNOTATIONS, meshAnnotationsOnly } from "./annotations.js";
import { unservedAnnotations } from "./unserved-annotations.js";

const sentences = (...names: string[]) =>
  unservedAnnotations(names, { ...DEFAULT_ANNOTATIONS, affinity: Affinity.AFFINITY_LOCAL }).map(
    ({ reason, sentence }) => `${reason}: ${sentence}`,
  );

test("annotations that are read, and those of others, are not reported", () => {
  assert.deepEqual(sentences("service.cilium.io/global", "io.cilium/shared-service"), []);
  assert.deepEqual(meshAnnotationsOnly({ "kubectl.kubernetes.io/x": "1", "mesh.isthmus.io.example.org/y": "2" }), {});
});

test("failover next to affinity is reported as without effect, and the affinity stays in force", () => {
  assert.deepEqual(sentences("service.cilium.io/affinity", "mesh.isthmus.io/failover"), [
    'NotServedAsWritten: Annotation "mesh.isthmus.io/failover" has no effect in this version: affinity "local" stays in force. Set "service.cilium.io/affinity" instead',
  ]);
});

test("each annotation that is not implemented is reported with what applies instead", () => {
  for (const name of ["failover", "weights", "min-healthy", "on-failover", "health"]) {
    const [said = ""] = sentences(`mesh.isthmus.io/${name}`);
    assert.match(
      said,
      new RegExp(`^NotServedAsWritten: Annotation "mesh.isthmus.io/${name}" has no effect in this version: `),
    );
  }
});

test("unknown names are one sentence, whatever their number", () => {
  assert.deepEqual(sentences("mesh.isthmus.io/failovr", "service.cilium.io/afinity"), [
    'UnknownAnnotation: Cannot use annotation "mesh.isthmus.io/failovr", "service.cilium.io/afinity": the name is not known, it has no effect. Remove it, or write one of "service.cilium.io/global", "service.cilium.io/shared", "service.cilium.io/affinity", "mesh.isthmus.io/rescue-after"',
  ]);
  const [flood = "", ...rest] = sentences(...Array.from({ length: 1000 }, (_, i) => `mesh.isthmus.io/a${i}`));
  assert.equal(rest.length, 0);
  assert.match(flood, /and 995 more/);
  assert.ok(flood.length < 500);
});

test("only the name is kept of an annotation that is not read", () => {
  const kept = meshAnnotationsOnly({
    "mesh.isthmus.io/failover": "x".repeat(10_000),
    "service.cilium.io/global": "true",
  });
  assert.deepEqual(kept, { "mesh.isthmus.io/failover": "", "service.cilium.io/global": "true" });
});
