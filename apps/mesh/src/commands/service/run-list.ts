import { askOneCluster, whyNone } from "../../access/one-cluster.js";
import type { Input } from "../../cli/command.js";
import { outputFormat } from "../../cli/parse.js";
import type { Io } from "../../output/io.js";
import { json } from "../../output/json.js";
import { isFailed } from "../../service/failed.js";
import { frontendJson } from "../../service/json.js";
import { servicesTable } from "../../service/render.js";

export async function run(input: Input, io: Io): Promise<number> {
  const format = outputFormat(input.value("output"), ["table", "json"]);
  const frontends = await askOneCluster(input, io, "services", async (admin, context) => {
    const namespace = input.value("namespace") ?? "";
    const { frontends } = await admin.listServices({ namespace, globalOnly: input.flag("global") });
    const nothing = input.flag("global") ? "No frontend of a global Service" : "No frontend";
    if (frontends.length === 0) io.err(await whyNone(context, namespace, { what: "services", nothing }));
    return frontends;
  });
  io.out(format === "json" ? json({ services: frontends.map(frontendJson) }) : servicesTable(frontends));
  return frontends.some(isFailed) ? 1 : 0;
}
