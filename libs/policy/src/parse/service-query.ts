/**
 * Reads which Services an element of `toServices` means: by name, or by their labels.
 *
 * Without a namespace it means Services of all namespaces, as in Cilium, also in a policy that has one.
 */
import { createSelector, type Selector, selects } from "../model/selector.js";
import { readSourcedKey } from "./cilium-label-key.js";
import {
  createReader,
  describe,
  type Fields,
  isAbsent,
  joinPath,
  type Reader,
  readObject,
  readText,
} from "./findings.js";
import { readLabelSelector } from "./label-selector.js";
import { MAX_SERVICE_SELECTORS, MAX_SERVICES } from "./limits.js";

/** A label of a Service, or one that it selects pods by. */
export interface ServiceLabel {
  /** As Kubernetes has it. */
  readonly key: string;
  /** "" where none is written. */
  readonly value: string;
}

/** What policies need of a Service of the local cluster. */
export interface PolicyService {
  /** As in its metadata. */
  readonly namespace: string;
  /** As in its metadata. */
  readonly name: string;
  /** Those that the policy's `k8sServiceSelector`s ask for, or more. */
  readonly labels: readonly ServiceLabel[];
  /** Of the pods that it selects; empty when it has no selector. */
  readonly selector: readonly ServiceLabel[];
  /** Of its EndpointSlices, when it has no selector. */
  readonly addresses: readonly string[];
}

/** The Services that an element of `toServices` means. */
export interface ServiceQuery {
  /** Undefined: any. */
  readonly namespace: string | undefined;
  /** Undefined: any. */
  readonly name: string | undefined;
  /** Of the labels of the Service. */
  readonly selector: Selector;
}

/** The Services that a policy is parsed with. */
export interface ServiceLookup {
  /** How many there are. */
  readonly size: number;
  /** Those that the query means. */
  find(query: ServiceQuery): readonly PolicyService[];
}

/** Compares a query with all Services once. */
export function createServiceLookup(services: readonly PolicyService[]): ServiceLookup {
  const answers = new Map<string, readonly PolicyService[]>();
  return {
    size: services.length,
    find(query) {
      const text = queryText(query);
      const found = answers.get(text) ?? services.filter((service) => meansService(query, service));
      answers.set(text, found);
      return found;
    },
  };
}

/** True when the query means the Service. */
export function meansService({ namespace, name, selector }: ServiceQuery, service: PolicyService): boolean {
  if (namespace !== undefined && namespace !== service.namespace) return false;
  if (name !== undefined) return name === service.name;
  return selects(selector, { get: (key) => service.labels.find((label) => label.key === key)?.value });
}

/**
 * The different queries of a policy's object, at most one more than it may have; what has findings is left out. Never throws; any
 * value may come in.
 */
export function serviceQueries(object: unknown): readonly ServiceQuery[] {
  const queries = new Map<string, ServiceQuery>();
  for (const element of serviceElements(object)) {
    const reader = createReader();
    const query = readServiceQuery(reader, element, "");
    if (query !== undefined && reader.findings.length === 0) queries.set(queryText(query), query);
    if (queries.size > MAX_SERVICES) break;
  }
  return [...queries.values()];
}

function* serviceElements(object: unknown): Generator<unknown> {
  for (const spec of [fieldOf(object, "spec"), ...listOf(object, "specs")])
    for (const section of ["egress", "egressDeny"])
      for (const rule of listOf(spec, section)) yield* listOf(rule, "toServices");
}

function listOf(value: unknown, name: string): readonly unknown[] {
  const list = fieldOf(value, name);
  return Array.isArray(list) ? list : [];
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Fields)[name] : undefined;
}

/** Refuses a policy with more queries than one may have. */
export function checkServiceQueries(reader: Reader, object: unknown): void {
  const queries = serviceQueries(object);
  const selectors = queries.filter(({ name }) => name === undefined).length;
  if (queries.length > MAX_SERVICES)
    reader.refuse("spec", `names more than ${MAX_SERVICES} different Services: split it into several policies`);
  else if (selectors > MAX_SERVICE_SELECTORS)
    reader.refuse(
      "spec",
      `has ${selectors} different k8sServiceSelectors, more than ${MAX_SERVICE_SELECTORS}: split it into several policies`,
    );
}

/** The query of the element at `path`; undefined with findings. */
export function readServiceQuery(reader: Reader, value: unknown, path: string): ServiceQuery | undefined {
  const fields = readObject(reader, value, path, ["k8sService", "k8sServiceSelector"]);
  if (fields === undefined) return undefined;
  const { k8sService: named, k8sServiceSelector: selected } = fields;
  if (isAbsent(named) && isAbsent(selected)) {
    reader.refuse(path, "must have k8sService or k8sServiceSelector");
    return undefined;
  }
  const selectorPath = joinPath(path, "k8sServiceSelector");
  if (isAbsent(named)) return readSelected(reader, selected, selectorPath);
  if (!isAbsent(selected)) reader.refuse(selectorPath, "cannot be beside k8sService: write an element for each");
  return readNamed(reader, named, joinPath(path, "k8sService"));
}

function readNamed(reader: Reader, value: unknown, path: string): ServiceQuery | undefined {
  const fields = readObject(reader, value, path, ["serviceName", "namespace"]);
  if (fields === undefined) return undefined;
  const name = readName(reader, fields["serviceName"], joinPath(path, "serviceName"));
  const namespace = readNamespace(reader, fields["namespace"], joinPath(path, "namespace"));
  return name === undefined ? undefined : { namespace, name, selector: createSelector([]) };
}

function readSelected(reader: Reader, value: unknown, path: string): ServiceQuery | undefined {
  const fields = readObject(reader, value, path, ["selector", "namespace"]);
  if (fields === undefined) return undefined;
  const namespace = readNamespace(reader, fields["namespace"], joinPath(path, "namespace"));
  const requirements = readLabelSelector(reader, fields["selector"], joinPath(path, "selector"), (key, at) => {
    return readSourcedKey(reader, key, at, ["k8s", "any"]).key;
  });
  return { namespace, name: undefined, selector: createSelector(requirements) };
}

/** An empty one is absent. */
function readNamespace(reader: Reader, value: unknown, path: string): string | undefined {
  return isAbsent(value) || value === "" ? undefined : readName(reader, value, path);
}

/** The name of a Service or of a Namespace. */
function readName(reader: Reader, value: unknown, path: string): string | undefined {
  const text = readText(reader, value, path);
  if (text === undefined || /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) return text;
  reader.refuse(path, `must be a name of at most 63 lower-case letters, digits and "-", not ${describe(text)}`);
  return undefined;
}

function queryText({ namespace = "*", name = "*", selector }: ServiceQuery): string {
  return `${namespace}/${name} ${selector.text}`;
}
