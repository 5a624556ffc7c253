/**
 * The lab that a suite of end-to-end tests runs on: two clusters of two nodes.
 *
 * MESH_TEST_LAB names a running lab that suites share (`make e2e` starts one): it stays up, so a suite must leave it as it found
 * it. Without MESH_TEST_LAB the suite gets a lab of its own, which is taken down with the suite.
 */
import { type LabHandle, openLab } from "../life/handle.js";
import { keepLab, type LabShape } from "../life/keep-lab.js";

export interface TestLab extends LabHandle {
  /** Takes down the suite's own lab; does nothing for a shared one. */
  release(): Promise<void>;
}

/** The name is short and unique per process, so that two runs on one machine do not collide. */
export function testLabShape(pid = process.pid): LabShape {
  return { name: `test-${pid}`, clusters: ["east", "west"], nodes: 2, bare: false };
}

export async function testLab(env: NodeJS.ProcessEnv = process.env): Promise<TestLab> {
  const shared = env["MESH_TEST_LAB"];
  if (shared !== undefined && shared !== "") {
    const lab = await openLab(shared);
    await lab.client.rows();
    return { ...lab, release: () => Promise.resolve() };
  }
  const shape = testLabShape();
  const kept = await keepLab(shape);
  return { ...(await openLab(shape.name)), ...kept };
}
