import { test } from "node:test";
import { parseAddress } from "@isthmus/model";
import { Affinity, FrontendReport } from "@isthmus/proto";
import { json } from "../output/json.js";
import { golden } from "../testing/golden.js";
import { frontendJson } from "./json.js";
import { servicesTable } from "./render.js";

const at = (service: string, address: string, port: number, rest: Parameters<typeof FrontendReport.fromPartial>[0]) =>
  FrontendReport.fromPartial({
    service,
    address: Buffer.from(parseAddress(address)),
    port,
    protocol: 6,
    status: "Done",
    ...rest,
  });

const backends = (cluster: string, ready: number, total = ready, serving = 0, keptOut = "") => ({
  cluster,
  ready,
  total,
  serving,
  keptOut,
});

const FRONTENDS = [
  at("shop/pay", "10.96.0.22", 443, {
    global: true,
    tiers: [{ active: false, clusters: [backends("east", 0)] }],
    status: "Error: no ready backend",
  }),
  at("shop/cart", "10.96.0.10", 80, {
    portName: "http",
    global: true,
    affinity: Affinity.AFFINITY_LOCAL,
    rescueAfterMs: 250,
    tiers: [
      { active: true, clusters: [backends("east", 2, 3, 1)] },
      { active: false, clusters: [backends("west", 3), backends("north", 0, 2, 0, 'no port "http"')] },
    ],
  }),
  FrontendReport.fromPartial({
    service: "shop/db",
    global: true,
    status: "No frontend",
    notes: [
      "A Service without a ClusterIP has no frontend: its mesh annotations have no effect. Give it one, or remove them",
    ],
  }),
  at("default/kubernetes", "10.96.0.1", 443, {
    noRescue: true,
    tiers: [{ active: true, clusters: [backends("east", 1)] }],
  }),
  at("kube-system/dns", "fd00:96::a", 53, {
    protocol: 17,
    tiers: [{ active: true, clusters: [backends("east", 2)] }],
    notes: ["sessionAffinity ClientIP is served as None"],
  }),
];

test("the table lists frontends by name, with tiers and the reason why a cluster is left out", () => {
  golden("service-list", servicesTable(FRONTENDS));
});

test("JSON has the same content", () => {
  golden("service-list-json", json({ services: FRONTENDS.map(frontendJson) }));
});
