import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReportedEvent } from "@isthmus/kube";
import { until } from "@isthmus/kube/testing";
import { parseClusterName, serviceName, systemClock } from "@isthmus/model";
import { Service, ServiceConfig } from "@isthmus/proto";
import { createSourceIndex, ownPosition, record, serviceConfigKey, serviceKey } from "@isthmus/records";
import type { StreamSource } from "../serve/stream-source.js";
import { createFakeSources } from "../testing/fake-source.js";
import { createPortMismatch, mismatch } from "./port-mismatch.js";

const service = (name: string, protocol = 6, shared = true): Service =>
  Service.fromPartial({ uid: "u1", shared, ports: [{ name, protocol, port: 80 }] });

test("ports are matched by name and protocol, numbers may differ; what is not shared is not missed", () => {
  const local = service("http");
  assert.equal(
    mismatch("east", local, { ...service("http"), ports: [{ name: "http", protocol: 6, port: 8080 }] }),
    undefined,
  );
  assert.equal(mismatch("east", local, service("web", 6, false)), undefined);
  assert.match(
    mismatch("east", local, service("web")) ?? "",
    /^Cannot use cluster "east" for port "http"\/TCP: .*same names/,
  );
  assert.match(mismatch("east", local, service("http", 17)) ?? "", /"http"\/TCP/);
});

function source(clusterId: number, cluster: string) {
  const index = createSourceIndex();
  let version = 0n;
  const put = (ports: Service, global = true) => {
    const name = serviceName("shop", "cart");
    const upserts = [
      record.service(serviceKey(name), ports),
      record.serviceConfig(serviceConfigKey(name), ServiceConfig.fromPartial({ global })),
    ];
    index.apply({ upserts, deletes: [], position: ownPosition(Buffer.alloc(16), [++version]), observedMicros: 1 });
  };
  return { clusterId, cluster: parseClusterName(cluster), index, put } as unknown as StreamSource & { put: typeof put };
}

test("the local Service hears of it once, again when it changes, and not when it is not global", async (t) => {
  const [own, east] = [source(0, "west"), source(1, "east")];
  const seen: ReportedEvent[] = [];
  const stop = new AbortController();
  const clock = { ...systemClock, delay: (_: number, signal?: AbortSignal) => systemClock.delay(2, signal) };
  const events = { report: (event: ReportedEvent) => void seen.push(event), settled: async () => undefined };
  const running = createPortMismatch({ sources: createFakeSources(own, east), events, clock }).run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
  });
  own.put(service("http"));
  east.put(service("web"));
  await until("one Event", () => seen.length === 1);
  assert.deepEqual(
    [seen[0]?.reason, seen[0]?.namespace, seen[0]?.name, seen[0]?.uid],
    ["PortMismatch", "shop", "cart", "u1"],
  );
  east.put({ ...service("web"), uid: "other" });
  own.put(service("grpc"));
  await until("another port, another Event", () => seen.length === 2);
  own.put(service("http"), false);
  own.put(service("http"), true);
  east.put(service("http"));
  own.put(service("web"));
  await until("a third", () => seen.length === 3);
});
