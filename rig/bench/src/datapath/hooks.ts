/** Nanoseconds of connect(), getpeername() and recvfrom() of a UDP socket: without programs, passed by programs, to a Service. */
import { type Datapath, Proto } from "@isthmus/bpf";
import { frontend, insertFrontends } from "@isthmus/bpf/testing";
import { type Rig, SERVER } from "./rig.js";
import { FIRST_VIP } from "./services.js";

const COUNT = 50_000;

export interface HookFigures {
  /** `none`, `pass`, `service` → mean nanoseconds of the best round, since other load only adds time. */
  readonly connectNs: Readonly<Record<string, number>>;
  readonly getpeernameNs: Readonly<Record<string, number>>;
  /** For an unconnected socket; in `service` it has sent to a Service before. */
  readonly recvfromNs: Readonly<Record<string, number>>;
}

/** Measures with service row 1 as a UDP Service too. */
export async function measureHooks(rig: Rig, datapath: Datapath): Promise<HookFigures> {
  await insertFrontends(datapath.frontends, [frontend(FIRST_VIP, 80, Proto.Udp, 1)]);
  const lines = (await rig.run(["hooks", rig.cgroup, SERVER, FIRST_VIP, String(COUNT)])).trim().split("\n");
  const column = (index: number) => {
    const best: Record<string, number> = {};
    for (const line of lines) {
      const cells = line.split(" ");
      const name = cells[0] ?? "";
      best[name] = Math.min(best[name] ?? Number.POSITIVE_INFINITY, Number(cells[index]));
    }
    return best;
  };
  return { connectNs: column(1), getpeernameNs: column(2), recvfromNs: column(3) };
}
