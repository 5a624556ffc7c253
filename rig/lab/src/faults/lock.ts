/**
 * One change of a lab's faults at a time: a fault that ends must see each other one whole, or it would resume a process that the
 * other one suspends.
 */
import { createServer, type Server } from "node:net";
import { waitFor } from "../host/wait.js";

const TIMEOUT_MS = 60_000;

/** Runs the work alone among all processes of this machine. The kernel releases the lock of a process that is killed. */
export async function withFaultLock<T>(lab: string, work: () => Promise<T>): Promise<T> {
  // An abstract socket: a name without a file, which only one process can have.
  const name = `\0isthmus-faults-${lab}`;
  const lock = await waitFor(`other changes of the faults of lab "${lab}"`, () => listen(name), {
    timeoutMs: TIMEOUT_MS,
    everyMs: 20,
  });
  try {
    return await work();
  } finally {
    await new Promise((resolve) => lock.close(resolve));
  }
}

/** Undefined when another process has the name. */
function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error) => {
      if ("code" in error && error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen({ path }, () => resolve(server));
  });
}
