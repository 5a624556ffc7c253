/**
 * Splits a byte stream into JSON lines.
 *
 * In: chunks as they arrive. Out: per chunk, the objects whose line ended in it. An unfinished line is kept, up to a
 * limit.
 */
import { KubeError } from "../errors.js";

const MAX_LINE_BYTES = 16 << 20;

export interface LineReader<T> {
  /** Throws `KUBE_ANSWER` on a line that is not JSON or too long. */
  push(chunk: Buffer): T[];
}

/** `path`: of the stream, for errors. */
export function createLineReader<T>(path: string): LineReader<T> {
  let rest: Buffer[] = [];
  let restBytes = 0;

  function parse(line: Buffer): T {
    try {
      return JSON.parse(line.toString("utf8")) as T;
    } catch (cause) {
      throw new KubeError({ code: "KUBE_ANSWER", path }, `Cannot read an event of "${path}": it is not JSON`, {
        cause,
      });
    }
  }

  return {
    push(chunk) {
      const objects: T[] = [];
      let start = 0;
      for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
        const piece = chunk.subarray(start, end);
        const line = rest.length === 0 ? piece : Buffer.concat([...rest, piece]);
        rest = [];
        restBytes = 0;
        if (line.length > 0) objects.push(parse(line));
        start = end + 1;
      }
      if (start < chunk.length) {
        rest.push(chunk.subarray(start));
        restBytes += chunk.length - start;
      }
      if (restBytes > MAX_LINE_BYTES)
        throw new KubeError(
          { code: "KUBE_ANSWER", path },
          `Cannot read an event of "${path}": it is over ${MAX_LINE_BYTES} bytes`,
        );
      return objects;
    },
  };
}
