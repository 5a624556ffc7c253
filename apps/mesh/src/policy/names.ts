/** Names of policies and of their rules, for people and for `-o json` (pure). */
import { lineText } from "@isthmus/model";
import type { PolicyName, PolicyRule } from "@isthmus/proto";

/** `NetworkPolicy shop/web spec.ingress[0]` */
export function ruleText({ policy, path }: PolicyRule): string {
  return `${policy === undefined ? "?" : policyNameText(policy)} ${lineText(path)}`;
}

/** `NetworkPolicy shop/web` */
export function policyNameText({ kind, namespace, name }: PolicyName): string {
  return lineText(`${kind} ${namespace === "" ? name : `${namespace}/${name}`}`);
}

/** The name with the path. */
export function ruleJson({ policy, path }: PolicyRule): object {
  return { ...policyNameJson(policy), path };
}

/** Without a namespace that it does not have. */
export function policyNameJson(name: PolicyName | undefined): object {
  if (name === undefined) return {};
  const { kind, namespace } = name;
  return { kind, ...(namespace === "" ? {} : { namespace }), name: name.name };
}
