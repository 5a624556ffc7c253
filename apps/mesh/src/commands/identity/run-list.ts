import { askOneCluster, whyNone } from "../../access/one-cluster.js";
import type { Input } from "../../cli/command.js";
import { outputFormat } from "../../cli/parse.js";
import { identitiesTable, identityJson } from "../../identity/render.js";
import type { Io } from "../../output/io.js";
import { json } from "../../output/json.js";

/** Exit code 0, also when there is none. */
export async function run(input: Input, io: Io): Promise<number> {
  const format = outputFormat(input.value("output"), ["table", "json"]);
  const { identities, leftOut } = await askOneCluster(input, io, "identities", async (admin, context) => {
    const namespace = input.value("namespace") ?? "";
    const answer = await admin.listIdentities({ namespace });
    if (answer.identities.length === 0)
      io.err(await whyNone(context, namespace, { what: "identities", nothing: "No identity" }));
    return answer;
  });
  io.out(format === "json" ? json({ identities: identities.map(identityJson), leftOut }) : identitiesTable(identities));
  if (leftOut > 0) io.err(`${leftOut} more are not shown: choose a namespace with -n\n`);
  return 0;
}
