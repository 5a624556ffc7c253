/** When the certificates that an apiserver uses expire: a warning 30 days before, a failure in the last 7. */
import type { CertificateReport } from "@isthmus/proto";
import type { Finding } from "../output/findings.js";
import { counted, kubectl, shellWord } from "../output/units.js";
import type { ClusterView } from "./collect.js";

const DAY_MS = 86_400_000;
const WARN_DAYS = 30;
const FAIL_DAYS = 7;

/** `nowMs`: wall clock. */
export function expiries(views: readonly ClusterView[], nowMs: number): readonly Finding[] {
  return views.flatMap((view) =>
    (view.report?.certificates ?? []).flatMap((certificate) => expiry(view, views, certificate, nowMs)),
  );
}

function expiry(
  view: ClusterView,
  views: readonly ClusterView[],
  { name, notAfter }: CertificateReport,
  nowMs: number,
): Finding[] {
  const leftMs = Number(notAfter) * 1000 - nowMs;
  if (leftMs >= WARN_DAYS * DAY_MS) return [];
  return [
    {
      group: "certificates",
      status: leftMs < FAIL_DAYS * DAY_MS ? "fail" : "warning",
      subject: view.cluster,
      message: `${WHAT[name] ?? `certificate "${name}"`} ${when(leftMs)} (${date(notAfter)})`,
      fix: fixOf(name, view, views),
    },
  ];
}

const WHAT: Readonly<Record<string, string>> = {
  server: "the certificate of its apiserver for agents and this CLI",
  ca: "the CA of its apiserver and agents",
  store: "its client certificate for the store",
  "store-ca": "the CA of the store",
};

function when(leftMs: number): string {
  if (leftMs < 0) return `expired ${counted(Math.floor(-leftMs / DAY_MS), "day")} ago`;
  return `expires in ${counted(Math.floor(leftMs / DAY_MS), "day")}`;
}

/** Formats a time to the minute, in UTC. Accepts any number that a server sends. */
function date(seconds: bigint): string {
  const at = new Date(Number(seconds) * 1000);
  return Number.isNaN(at.getTime()) ? `${seconds} s` : `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function fixOf(name: string, { context, peers }: ClusterView, views: readonly ClusterView[]): string {
  const secret = `${kubectl(context)} -n mesh-system edit secret mesh-apiserver-tls`;
  if (name === "store") {
    const others = peers.map((peer) => views.find(({ cluster }) => cluster === peer.name)?.context ?? peer.name);
    return `run: mesh connect ${[context, ...others].map(shellWord).join(" ")}`;
  }
  if (name === "store-ca")
    return "give the store a new CA and certificates signed by it, name it in the store file, and run mesh connect again";
  if (name === "ca")
    return `make a new CA; while both are in use, let ca.crt of the apiserver and of every agent hold both (${secret})`;
  return `issue tls.crt and tls.key anew from the same CA; they are taken within seconds: ${secret}`;
}
