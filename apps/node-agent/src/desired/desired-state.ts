/**
 * What the node's maps must hold, Service by Service, without node-local numbers.
 *
 * ```
 *   setService(name, plans) ──► frontend ──► who claims it, with its tiers ──► changed frontends
 * ```
 * Two Services may claim one frontend for a moment (an address given away and taken again); the first by name has it,
 * whatever the order of events. Work is proportional to the Service.
 */
import type { FrontendPlan } from "@isthmus/loadbalancer";
import type { ServiceName } from "@isthmus/model";
import { type FrontendName, frontendName, rejectName } from "./frontends.js";
import type { DesiredService } from "./services.js";

/** A row of mesh_frontends that must be there. */
export type DesiredFrontend =
  | { readonly kind: "service"; readonly service: ServiceName; readonly tiers: DesiredService }
  /** Refuses the ports of a VIP that have no row. */
  | { readonly kind: "reject" };

export interface DesiredState {
  get(frontend: FrontendName): DesiredFrontend | undefined;
  has(frontend: FrontendName): boolean;
  /** What this Service wants of a frontend now. */
  planOf(frontend: FrontendName, service: ServiceName): FrontendPlan | undefined;
  readonly frontends: Iterable<FrontendName>;
  readonly size: number;
  /** Replaces what a Service wants; returns the frontends that may have changed, some perhaps twice. */
  setService(name: ServiceName, plans: readonly FrontendPlan[]): readonly FrontendName[];
}

export function createDesiredState(): DesiredState {
  const claims = new Map<FrontendName, readonly FrontendPlan[]>();
  const owned = new Map<ServiceName, readonly FrontendName[]>();
  /** Frontends per reject row. */
  const ports = new Map<FrontendName, number>();

  function countPort(reject: FrontendName, change: 1 | -1): void {
    const left = (ports.get(reject) ?? 0) + change;
    if (left <= 0) ports.delete(reject);
    else ports.set(reject, left);
  }

  function claim(frontend: FrontendName, name: ServiceName, plan: FrontendPlan, reject: FrontendName): void {
    const known = claims.get(frontend);
    if (known === undefined) countPort(reject, 1);
    claims.set(frontend, known === undefined ? [plan] : [...without(known, name), plan]);
  }

  function release(frontend: FrontendName, name: ServiceName): void {
    const left = without(claims.get(frontend) ?? [], name);
    if (left.length > 0) return void claims.set(frontend, left);
    if (claims.delete(frontend)) countPort(rejectName(frontend), -1);
  }

  return {
    get(frontend) {
      const plan = firstByName(claims.get(frontend) ?? []);
      if (plan !== undefined) return { kind: "service", service: plan.frontend.service, tiers: plan.tiers };
      return ports.has(frontend) ? REJECT : undefined;
    },
    has: (frontend) => claims.has(frontend) || ports.has(frontend),
    planOf: (frontend, service) => claims.get(frontend)?.find((plan) => plan.frontend.service === service),
    get frontends() {
      return [...claims.keys(), ...ports.keys()];
    },
    get size() {
      return claims.size + ports.size;
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
  };
}

const REJECT: DesiredFrontend = { kind: "reject" };

function without(plans: readonly FrontendPlan[], name: ServiceName): readonly FrontendPlan[] {
  return plans.filter(({ frontend }) => frontend.service !== name);
}

/** The plan of the Service whose name comes first. */
function firstByName(plans: readonly FrontendPlan[]): FrontendPlan | undefined {
  let first = plans[0];
  for (const plan of plans) if (first === undefined || plan.frontend.service < first.frontend.service) first = plan;
  return first;
}
