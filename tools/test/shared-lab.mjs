/**
 * The lab that the end-to-end tests of one run share: up before the first, gone after the last, whatever ends the run. A keeper
 * in a session of its own holds it and notices the end of this process by a pipe, a SIGKILL included.
 *
 * MESH_TEST_LAB set by hand names a lab that is up: it is used and stays (`mesh lab up --name x && MESH_TEST_LAB=x make e2e`).
 */
import process from "node:process";

/**
 * Runs the work with a lab; rejects when it does not come up, or when something of it is left at the end. The work gets a signal:
 * after Ctrl-C nothing more is started.
 */
export async function withSharedLab(work) {
  const interrupted = new AbortController();
  if (process.env.MESH_TEST_LAB) return await work(interrupted.signal);
  const { keepLab, testLabShape } = await import("../../apps/lab/dist/testing/index.js");
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
