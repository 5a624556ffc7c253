/** The sandbox's image, which contains only the reaper. */
import type { ImageSpec } from "./build-image.js";
import { nativeBinary } from "./native.js";

export const PAUSE_TAG = "lab.isthmus.io/pause:1";

export async function pauseImage(): Promise<ImageSpec> {
  const source = await nativeBinary("reaper");
  return { tag: PAUSE_TAG, files: [{ path: "/pause", source, mode: 0o755 }], entrypoint: ["/pause"] };
}
