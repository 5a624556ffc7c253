/**
 * The lab that a suite of end-to-end tests runs on: two clusters of two nodes.
 *
 * MESH_TEST_LAB names one that is up and that suites share (`make e2e` starts one): it is used and stays up, so a suite
 * leaves it as it would like to find it. Without it the suite gets one of its own, which ends with the suite.
 */
import { type LabHandle, openLab } from "../life/handle.js";
import { keepLab, type LabShape } from "./keep-lab.js";

export interface TestLab extends LabHandle {
  /** The end of one's own; nothing for a shared one. */
  release(): Promise<void>;
}

/** Names are short and one's own: two runs on one machine do not meet. */
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
