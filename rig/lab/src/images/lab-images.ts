/** Builds the archive that every node of a lab imports: the sandbox's image, and the demo's program when the checkout has it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { run } from "../host/run.js";
import { REPOSITORY_ROOT } from "../plan/paths.js";
import { buildArchive, type ImageSpec } from "./build-image.js";
import { pauseImage } from "./pause.js";

/** Tag of the image of a static C program: HTTP server and open-loop client. */
export const DEMO_TAG = "lab.isthmus.io/demo:1";

export async function labImages(root: string = REPOSITORY_ROOT): Promise<string> {
  return await buildArchive([await pauseImage(), ...(await demoImage(root))]);
}

async function demoImage(root: string): Promise<ImageSpec[]> {
  const folder = join(root, "rig/demo/image");
  if (!existsSync(join(folder, "Makefile"))) return [];
  await run(["make", "-s", "-C", folder]);
  return [
    {
      tag: DEMO_TAG,
      files: [{ path: "/demo", source: join(folder, "build/demo"), mode: 0o755 }],
      entrypoint: ["/demo"],
    },
  ];
}
