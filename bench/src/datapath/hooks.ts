/** Nanoseconds that the hooks add to connect(), getpeername() and recvfrom() of a UDP socket: no program, let pass, a Service. */
import { type Datapath, Proto } from "@isthmus/bpf";
import { frontend, insertFrontends } from "@isthmus/bpf/testing";
import { type Rig, SERVER } from "./rig.js";
import { FIRST_VIP } from "./services.js";

const COUNT = 50_000;

export interface HookFigures {
  /** `none`, `pass`, `service` to mean nanoseconds of the best round: a busy machine only adds. */
  readonly connectNs: Readonly<Record<string, number>>;
  readonly getpeernameNs: Readonly<Record<string, number>>;
  /** Of a socket that is not connected; in `service` it has sent to one. */
  readonly recvfromNs: Readonly<Record<string, number>>;
}

/** Service row 1 also answers on UDP for this. */
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
