/**
 * What the node's maps must hold, per Service and without node-local indexes.
 *
 * ```
 *   setService(name, plans) ──► frontend ──► the Service that has it, with its tiers ──► changed frontends
 * ```
 * Two Services may claim one frontend for a moment (an address that was released and assigned again); the first by name
 * gets it, whatever the order of events. Work is proportional to the Service.
 */
import type { FrontendPlan, TierPlan } from "@isthmus/loadbalancer";
import type { RescueAfter, ServiceName } from "@isthmus/model";
import { type FrontendName, frontendName, otherProxyName, rejectName } from "./frontends.js";

/** A tier of one frontend; it becomes one 64-bit word of mesh_services once its table has lines. */
export type DesiredTier = TierPlan;

/** In order of preference, at most four; none = connects are refused. */
export type DesiredTiers = readonly DesiredTier[];

/** A row that mesh_frontends must have. */
export type DesiredFrontend =
  | {
      readonly kind: "service";
      readonly service: ServiceName;
      readonly tiers: DesiredTiers;
      readonly rescueAfter: RescueAfter;
    }
  /** Refuses the ports of a VIP that have no row. */
  | { readonly kind: "reject" }
  /** Leaves a VIP to another proxy. */
  | { readonly kind: "left" };

export interface DesiredState {
  /** Undefined = the frontend must have no row. The name may also be that of a reject row or of another proxy's VIP. */
  get(frontend: FrontendName): DesiredFrontend | undefined;
  /** True when `get` returns a row. */
  has(frontend: FrontendName): boolean;
  /** The present plan of this Service for a frontend. */
  planOf(frontend: FrontendName, service: ServiceName): FrontendPlan | undefined;
  /** Names of all rows, each once; a copy. */
  readonly frontends: Iterable<FrontendName>;
  /** Number of rows. */
  readonly size: number;
  /** Replaces the plans of a Service; returns the frontends that may have changed, some perhaps twice. */
  setService(name: ServiceName, plans: readonly FrontendPlan[]): readonly FrontendName[];
  /** Replaces the VIPs of a Service that another proxy serves; a Service with a frontend at one has precedence. */
  setOtherProxy(name: ServiceName, addresses: readonly Uint8Array[]): readonly FrontendName[];
}

/** No row is desired. */
export function createDesiredState(): DesiredState {
  const claims = new Map<FrontendName, readonly FrontendPlan[]>();
  const owned = new Map<ServiceName, readonly FrontendName[]>();
  /** Number of frontends per reject row. */
  const ports = new Map<FrontendName, number>();
  const left = new Map<ServiceName, readonly FrontendName[]>();
  /** Number of Services per VIP that another proxy serves. */
  const leftRows = new Map<FrontendName, number>();

  function count(counts: Map<FrontendName, number>, row: FrontendName, change: 1 | -1): void {
    const now = (counts.get(row) ?? 0) + change;
    if (now <= 0) counts.delete(row);
    else counts.set(row, now);
  }

  function claim(frontend: FrontendName, name: ServiceName, plan: FrontendPlan, reject: FrontendName): void {
    const known = claims.get(frontend);
    if (known === undefined) count(ports, reject, 1);
    claims.set(frontend, known === undefined ? [plan] : [...without(known, name), plan]);
  }

  function release(frontend: FrontendName, name: ServiceName): void {
    const others = without(claims.get(frontend) ?? [], name);
    if (others.length > 0) return void claims.set(frontend, others);
    if (claims.delete(frontend)) count(ports, rejectName(frontend), -1);
  }

  return {
    get(frontend) {
      const plan = firstByName(claims.get(frontend) ?? []);
      if (plan !== undefined) {
        const { service, rescueAfter } = plan.frontend;
        return { kind: "service", service, tiers: plan.tiers, rescueAfter };
      }
      if (ports.has(frontend)) return REJECT;
      return leftRows.has(frontend) ? LEFT : undefined;
    },
    has: (frontend) => claims.has(frontend) || ports.has(frontend) || leftRows.has(frontend),
    planOf: (frontend, service) => claims.get(frontend)?.find((plan) => plan.frontend.service === service),
    get frontends() {
      return [...claims.keys(), ...new Set([...ports.keys(), ...leftRows.keys()])];
    },
    get size() {
      return claims.size + new Set([...ports.keys(), ...leftRows.keys()]).size;
    },
    setService(name, plans) {
      const before = owned.get(name) ?? [];
      const wanted = plans.map(({ frontend }) => frontendName(frontend.address, frontend.port, frontend.protocol));
      const touched = before.filter((frontend) => !wanted.includes(frontend));
      for (const frontend of touched) release(frontend, name);
      touched.push(...touched.map(rejectName));
      plans.forEach((plan, i) => {
        const frontend = wanted[i] ?? "";
        const reject = rejectName(frontend);
        claim(frontend, name, plan, reject);
        touched.push(frontend, reject);
      });
      if (wanted.length === 0) owned.delete(name);
      else owned.set(name, wanted);
      return touched;
    },
    setOtherProxy(name, addresses) {
      const [before, now] = [left.get(name) ?? [], addresses.map(otherProxyName)];
      for (const row of before) count(leftRows, row, -1);
      for (const row of now) count(leftRows, row, 1);
      if (now.length === 0) left.delete(name);
      else left.set(name, now);
      return [...before, ...now];
    },
  };
}

const REJECT: DesiredFrontend = { kind: "reject" };
const LEFT: DesiredFrontend = { kind: "left" };

function without(plans: readonly FrontendPlan[], name: ServiceName): readonly FrontendPlan[] {
  return plans.filter(({ frontend }) => frontend.service !== name);
}

/** The plan of the Service whose name comes first. */
function firstByName(plans: readonly FrontendPlan[]): FrontendPlan | undefined {
  let first = plans[0];
  for (const plan of plans) if (first === undefined || plan.frontend.service < first.frontend.service) first = plan;
  return first;
}
