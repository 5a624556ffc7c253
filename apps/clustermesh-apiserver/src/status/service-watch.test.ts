import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReportedEvent } from "@isthmus/kube";
import { systemClock } from "@isthmus/model";
import { until } from "@isthmus/testing";
import { createFakeSources } from "../testing/fake-source.js";
import { createServiceWatch } from "./service-watch.js";
import { CART, createFakeServices, createServiceSource, knownService } from "./testing/fixture.js";

/** East's watch with west as its peer; `looks` counts the checks of cart's conditions. */
function running(t: { after(work: () => Promise<void>): void }) {
  const [own, west] = [createServiceSource(0, "east"), createServiceSource(2, "west")];
  const sources = createFakeSources(own, west);
  const services = createFakeServices();
  const seen: ReportedEvent[] = [];
  const state = { looks: 0, waiting: false };
  const stop = new AbortController();
  const clock = { ...systemClock, delay: (_: number, signal?: AbortSignal) => systemClock.delay(2, signal) };
  const events = { report: (event: ReportedEvent) => void seen.push(event), settled: async () => undefined };
  const lookAtConditions = (service: string) => {
    assert.equal(service, CART);
    state.looks++;
    return state.waiting;
  };
  const watch = createServiceWatch({ sources, services, events, clock, lookAtConditions }).run(stop.signal);
  t.after(async () => {
    stop.abort();
    await watch;
  });
  services.set(knownService());
  return { own, west, sources, services, seen, state };
}

test("a mismatch causes one Event, another one when it changes, and none while the Service is not global", async (t) => {
  const { own, west, seen } = running(t);
  own.put(["http"]);
  west.put(["web"]);
  await until("one Event", () => seen.length === 1);
  assert.deepEqual(
    [seen[0]?.reason, seen[0]?.namespace, seen[0]?.name, seen[0]?.uid],
    ["PortMismatch", "shop", "cart", "u1"],
  );
  west.put(["web"], { shared: true });
  own.put(["grpc"]);
  await until("another port, another Event", () => seen.length === 2);
  own.put(["http"], { global: false });
  own.put(["http"], { global: true });
  west.put(["http"]);
  own.put(["web"]);
  await until("a third", () => seen.length === 3);
});

test("a mismatch that ended and returned causes another Event", async (t) => {
  const { own, west, seen, state } = running(t);
  own.put(["http"]);
  west.put(["web"]);
  await until("one Event", () => seen.length === 1);
  const { looks } = state;
  west.put(["http"]);
  await until("the end of the mismatch is noticed", () => state.looks > looks);
  west.put(["web"]);
  await until("another", () => seen.length === 2);
});

test("conditions are checked when the Service or its status changes, a peer is removed, or an awaited one is received", async (t) => {
  const { own, west, sources, services, state } = running(t);
  const looked = async (sentence: string, work: () => void) => {
    const { looks } = state;
    work();
    await until(sentence, () => state.looks > looks);
  };
  await looked("at a record", () => own.put(["http"]));
  state.waiting = true;
  await looked("at the Service", () => services.set(knownService()));
  await looked("when the peer is received", () => west.prove(true));
  state.waiting = false;
  await looked("at the peer's record", () => west.put(["http"]));
  await looked("when the peer goes", () => sources.remove(west));
});
