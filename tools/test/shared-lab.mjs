/**
 * The lab that the end-to-end tests of one run share: brought up before the first test and taken down after the last, however the
 * run ends. A keeper process in its own session detects the end of this process by a pipe, even after SIGKILL.
 *
 * MESH_TEST_LAB, if set, names a running lab, which is used and stays up (`mesh lab up --name x && MESH_TEST_LAB=x make e2e`).
 */
import process from "node:process";

/**
 * Runs the work with a lab; rejects when the lab does not come up, or when something of it is left at the end. The work gets a
 * signal that is aborted at Ctrl-C, after which it must start nothing more.
 */
export async function withSharedLab(work) {
  const interrupted = new AbortController();
  if (process.env.MESH_TEST_LAB) return await work(interrupted.signal);
  const { keepLab } = await import("../../rig/lab/dist/index.js");
  const { testLabShape } = await import("../../rig/lab/dist/testing/index.js");
  const shape = testLabShape();
  let startMs = Date.now();
  const seconds = () => `${((Date.now() - startMs) / 1000).toFixed(1)} s`;
  const kept = await keepLab(shape);
  console.log(`lab "${shape.name}" is up after ${seconds()}`);
  const interrupt = (signal) => {
    console.error(`\n${signal}: taking lab "${shape.name}" down`);
    interrupted.abort();
    kept.release().finally(() => process.exit(130));
  };
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, interrupt);
  process.env.MESH_TEST_LAB = shape.name;
  try {
    await work(interrupted.signal);
  } finally {
    delete process.env.MESH_TEST_LAB;
    startMs = Date.now();
    await kept.release();
    console.log(`lab "${shape.name}" is gone after ${seconds()}, and left nothing`);
  }
}
