import { askOneCluster, whyNone } from "../../access/one-cluster.js";
import type { Input } from "../../cli/command.js";
import { outputFormat } from "../../cli/parse.js";
import type { Io } from "../../output/io.js";
import { json } from "../../output/json.js";
import { auditedText, policiesTable, policyJson } from "../../policy/render.js";

export async function run(input: Input, io: Io): Promise<number> {
  const format = outputFormat(input.value("output"), ["table", "json"]);
  const { policies, auditedPods } = await askOneCluster(input, io, "policies", async (admin, context) => {
    const namespace = input.value("namespace") ?? "";
    const answer = await admin.listPolicies({ namespace });
    if (answer.policies.length === 0)
      io.err(await whyNone(context, namespace, { what: "policies", nothing: "No policy" }));
    if (answer.auditedPods > 0) io.err(auditedText(answer.auditedPods));
    return answer;
  });
  io.out(format === "json" ? json({ policies: policies.map(policyJson), auditedPods }) : policiesTable(policies));
  return policies.some(({ findings }) => findings.length > 0) ? 1 : 0;
}
