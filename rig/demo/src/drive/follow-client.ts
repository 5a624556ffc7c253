/**
 * Follows the client pod's output through the API server. After a cut it reads the output from the beginning: the samples
 * have times and numbers, so late or repeated delivery changes nothing.
 */
import type { Transport } from "@isthmus/kube";
import type { SampleLog } from "../samples/log.js";

/** Resolves when the pod has ended and its output was read to the end, or when aborted. */
export async function followClient(transport: Transport, path: string, log: SampleLog, signal: AbortSignal) {
  while (!signal.aborted && log.ended() === null) {
    try {
      await readOnce(transport, path, log, signal);
    } catch {
      // The API server does not answer, or the pod is not running yet: retried below.
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function readOnce(transport: Transport, path: string, log: SampleLog, signal: AbortSignal): Promise<void> {
  const response = await transport.stream({ method: "GET", path: `${path}/log`, query: { follow: "true" }, signal });
  response.setEncoding("utf8");
  let rest = "";
  for await (const chunk of response) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("{")) log.line(line);
  }
}
