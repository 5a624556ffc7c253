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
  /** Replaces what a Service wants; returns the frontends that may have changed. */
  setService(name: ServiceName, plans: readonly FrontendPlan[]): readonly FrontendName[];
}

export function createDesiredState(): DesiredState {
  const claims = new Map<FrontendName, Map<ServiceName, FrontendPlan>>();
  const owned = new Map<ServiceName, readonly FrontendName[]>();
  /** Frontends per reject row. */
  const ports = new Map<FrontendName, number>();

  function claim(frontend: FrontendName, name: ServiceName, plan: FrontendPlan): void {
    const known = claims.get(frontend);
    if (known !== undefined) return void known.set(name, plan);
    claims.set(frontend, new Map([[name, plan]]));
    const reject = rejectName(frontend);
    ports.set(reject, (ports.get(reject) ?? 0) + 1);
  }

  function release(frontend: FrontendName, name: ServiceName): void {
    const known = claims.get(frontend);
    known?.delete(name);
    if (known?.size !== 0) return;
    claims.delete(frontend);
    const reject = rejectName(frontend);
    const left = (ports.get(reject) ?? 1) - 1;
    if (left === 0) ports.delete(reject);
    else ports.set(reject, left);
  }

  return {
    get(frontend) {
      const known = claims.get(frontend);
      if (known === undefined) return ports.has(frontend) ? { kind: "reject" } : undefined;
      const [service] = known.size === 1 ? known.keys() : [...known.keys()].sort();
      const plan = service === undefined ? undefined : known.get(service);
      return plan === undefined ? undefined : { kind: "service", service: plan.frontend.service, tiers: plan.tiers };
    },
    has: (frontend) => claims.has(frontend) || ports.has(frontend),
    planOf: (frontend, service) => claims.get(frontend)?.get(service),
    get frontends() {
      return [...claims.keys(), ...ports.keys()];
    },
    get size() {
      return claims.size + ports.size;
    },
    setService(name, plans) {
      const before = owned.get(name) ?? [];
      const wanted = new Map<FrontendName, FrontendPlan>();
      for (const plan of plans) {
        const { address, port, protocol } = plan.frontend;
        wanted.set(frontendName(address, port, protocol), plan);
      }
      for (const frontend of before) if (!wanted.has(frontend)) release(frontend, name);
      for (const [frontend, plan] of wanted) claim(frontend, name, plan);
      if (wanted.size === 0) owned.delete(name);
      else owned.set(name, [...wanted.keys()]);
      const touched = new Set([...before, ...wanted.keys()]);
      for (const frontend of [...touched]) touched.add(rejectName(frontend));
      return [...touched];
    },
  };
}
