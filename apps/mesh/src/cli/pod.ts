/** A pod on the command line: `NAMESPACE/POD`, or `POD` with `-n`. */
import { usageError } from "./exit.js";

/** Names of a pod, of the form that names have. */
export interface PodReference {
  /** A label of DNS. */
  readonly namespace: string;
  /** A name of DNS, of at most 253 characters. */
  readonly name: string;
}

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** The pod of `--from`; `namespace`: of `-n`. Throws USAGE when it cannot be the name of one. */
export function parsePod(text: string, namespace: string | undefined): PodReference {
  const parts = text.split("/");
  const [first = "", second] = parts;
  const pod = second === undefined ? { namespace, name: first } : { namespace: first, name: second };
  if (parts.length > 2) throw usageError(`Cannot use "${text}" for --from: write NAMESPACE/POD`);
  if (pod.namespace === undefined)
    throw usageError(
      `Cannot use "${text}" for --from without its namespace: write NAMESPACE/${text}, or add -n NAMESPACE`,
    );
  if (second !== undefined && namespace !== undefined && namespace !== first)
    throw usageError(`Cannot use --from "${text}" with --namespace "${namespace}": they name two namespaces`);
  if (!LABEL.test(pod.namespace))
    throw usageError(`Cannot use "${pod.namespace}" as a namespace in --from: it is no name`);
  if (!SUBDOMAIN.test(pod.name)) throw usageError(`Cannot use "${pod.name}" as a pod in --from: it is no name`);
  return { namespace: pod.namespace, name: pod.name };
}
