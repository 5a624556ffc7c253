/**
 * Makes one netlink request of an agent fail, or kills the agent (SIGKILL) before it, so that an ADD is interrupted at
 * exactly one step. The test plans the fault in a file, which the agent's process reads before each request.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { NetlinkError, NetlinkRequest, NetlinkResult, OpenNetlink } from "@isthmus/bpf";
import { MeshError } from "@isthmus/model";

type Fault = "fail" | "kill";

export interface FaultInjector {
  /** For the agent's process. */
  readonly folder: string;
  /** Plans a fault in place of the `request`-th request from now on, 1 = the next one. */
  plan(request: number, what: Fault): void;
  /** Removes the plan; true when the fault happened. */
  clear(): boolean;
}

/** The test's side. `folder` is made, and passed to the agent. */
export async function createFaultInjector(folder: string): Promise<FaultInjector> {
  await mkdir(folder);
  const { plan, struck } = filesIn(folder);
  return {
    folder,
    plan: (request, what) => writeFileSync(plan, `${request} ${what}`),
    clear() {
      const happened = existsSync(struck);
      for (const file of [plan, struck]) rmSync(file, { force: true });
      return happened;
    },
  };
}

/** The agent's side: sends requests one by one, with the planned fault in place of one of them. */
export function withFaults(open: OpenNetlink, folder: string): OpenNetlink {
  const { plan, struck } = filesIn(folder);

  /** Counts one request in the plan; returns the fault if it is due. */
  function takeFault(): Fault | undefined {
    if (!existsSync(plan)) return undefined;
    const [left = "0", what] = readFileSync(plan, "latin1").split(" ") as [string?, Fault?];
    if (Number(left) > 0) writeFileSync(plan, `${Number(left) - 1} ${what}`);
    return left === "1" ? what : undefined;
  }

  function fault(what: Fault): void {
    writeFileSync(struck, "");
    if (what === "kill") process.kill(process.pid, "SIGKILL");
  }

  return async (netns) => {
    const netlink = await open(netns);
    return {
      ...netlink,
      async run(requests) {
        const results: NetlinkResult[] = [];
        for (const request of requests) {
          const what = takeFault();
          if (what === undefined) results.push(...(await netlink.run([request])));
          else {
            fault(what);
            results.push({ error: failed(request), messages: [] });
          }
        }
        return results;
      },
      async dump(request, decode) {
        const what = takeFault();
        if (what === undefined) return netlink.dump(request, decode);
        fault(what);
        throw failed(request);
      },
    };
  };
}

function failed({ action, object }: NetlinkRequest): NetlinkError {
  return new MeshError(
    { code: "NETLINK", action, object, errno: "EIO" } as const,
    `Cannot ${action} ${object}: injected fault (EIO)`,
  );
}

function filesIn(folder: string): { readonly plan: string; readonly struck: string } {
  return { plan: join(folder, "plan"), struck: join(folder, "struck") };
}
