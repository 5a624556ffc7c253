/**
 * Typed reads and writes of single objects and short lists.
 *
 * A missing object is `undefined`, not an error; every other refusal is a KubeError with its HTTP status.
 */
import { hasStatus } from "./errors.js";
import type { KubeObject, ObjectMeta } from "./objects.js";
import { apiVersion, type Resource, resourcePath } from "./resources.js";
import type { KubeRequest, Transport } from "./transport.js";

export interface Target {
  /** Absent: all namespaces for `list`, and for a written object that of its metadata. */
  readonly namespace?: string;
  /** Ignored by `list` and `create`. */
  readonly subresource?: "status";
  /** Ends the request: it rejects with `KUBE_UNREACHABLE`. */
  readonly signal?: AbortSignal;
  /** Limit for each request; 15 s unless given. */
  readonly timeoutMs?: number;
}

export interface ApplyTarget extends Target {
  /** Name of the field manager. */
  readonly manager: string;
  /** Takes over fields that another manager owns. */
  readonly force?: boolean;
  /** Validates only; nothing is stored. */
  readonly dryRun?: boolean;
}

export interface KubeClient {
  /** For requests of other shapes; not closed by the client. */
  readonly transport: Transport;
  /** Undefined when there is no such object. */
  get<T extends KubeObject>(resource: Resource, name: string, target?: Target): Promise<T | undefined>;
  /** Reads all pages; for collections known to be small. */
  list<T extends KubeObject>(
    resource: Resource,
    target?: Target & { readonly labelSelector?: string },
  ): Promise<readonly T[]>;
  /** Returns the object as stored. Rejects with status 409 when the name is taken. */
  create<T extends KubeObject>(resource: Resource, object: T, target?: Target): Promise<T>;
  /** Server-side apply. */
  apply<T extends KubeObject>(resource: Resource, object: T, target: ApplyTarget): Promise<T>;
  /** JSON merge patch; `null` removes a field. */
  mergePatch<T extends KubeObject>(resource: Resource, name: string, patch: unknown, target?: Target): Promise<T>;
  /** Writes the whole object. Rejects with status 409 when its `resourceVersion` is no longer the newest. */
  replace<T extends KubeObject>(resource: Resource, object: T, target?: Target): Promise<T>;
  /** False when there was nothing to delete. Rejects with status 409 when `resourceVersion` is given and not the newest. */
  delete(resource: Resource, name: string, target?: Target & { readonly resourceVersion?: string }): Promise<boolean>;
}

/** The caller closes the transport. */
export function createKubeClient(transport: Transport): KubeClient {
  const call = <T>(
    method: KubeRequest["method"],
    path: string,
    target: Target | undefined,
    more: Partial<KubeRequest> = {},
  ) => transport.json<T>({ method, path, signal: target?.signal, ...deadline(target), ...more });
  const at = (resource: Resource, target: Target | undefined, name?: string) =>
    resourcePath(resource, target?.namespace, name, name === undefined ? undefined : target?.subresource);
  return {
    transport,
    get: <T>(resource: Resource, name: string, target?: Target) =>
      unlessMissing(call<T>("GET", at(resource, target, name), target)),
    async list<T>(resource: Resource, target: Target & { readonly labelSelector?: string } = {}) {
      const items: T[] = [];
      let next = "";
      do {
        const selector = target.labelSelector === undefined ? {} : { labelSelector: target.labelSelector };
        const query = { limit: "500", ...selector, ...(next === "" ? {} : { continue: next }) };
        const page = await call<{ items?: T[]; metadata?: { continue?: string } }>(
          "GET",
          at(resource, target),
          target,
          { query },
        );
        items.push(...(page.items ?? []));
        next = page.metadata?.continue ?? "";
      } while (next !== "");
      return items;
    },
    create: <T extends KubeObject>(resource: Resource, object: T, target?: Target) =>
      call<T>("POST", at(resource, inNamespace(object, target)), target, { body: withType(resource, object) }),
    apply: <T extends KubeObject>(resource: Resource, object: T, target: ApplyTarget) =>
      call<T>("PATCH", at(resource, inNamespace(object, target), nameOf(object)), target, {
        body: withType(resource, object),
        contentType: "application/apply-patch+yaml",
        query: {
          fieldManager: target.manager,
          force: String(target.force === true),
          ...(target.dryRun === true ? { dryRun: "All" } : {}),
        },
      }),
    mergePatch: <T>(resource: Resource, name: string, patch: unknown, target?: Target) =>
      call<T>("PATCH", at(resource, target, name), target, {
        body: patch,
        contentType: "application/merge-patch+json",
      }),
    replace: <T extends KubeObject>(resource: Resource, object: T, target?: Target) =>
      call<T>("PUT", at(resource, inNamespace(object, target), nameOf(object)), target, {
        body: withType(resource, object),
      }),
    async delete(resource, name, target) {
      const { resourceVersion } = target ?? {};
      const body = resourceVersion === undefined ? {} : { body: { preconditions: { resourceVersion } } };
      return (await unlessMissing(call("DELETE", at(resource, target, name), target, body))) !== undefined;
    },
  };
}

function deadline(target: Target | undefined): { timeoutMs?: number } {
  return target?.timeoutMs === undefined ? {} : { timeoutMs: target.timeoutMs };
}

async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (thrown) {
    if (hasStatus(thrown, 404)) return undefined;
    throw thrown;
  }
}

function inNamespace(object: KubeObject, target: Target | undefined): Target {
  const namespace = target?.namespace ?? object.metadata.namespace;
  return { ...target, ...(namespace === undefined ? {} : { namespace }) };
}

function withType<T extends KubeObject>(resource: Resource, object: T): T {
  return { ...object, apiVersion: apiVersion(resource), kind: resource.kind };
}

function nameOf(object: { readonly metadata: ObjectMeta }): string {
  return object.metadata.name ?? "";
}
