/**
 * Objects whose programs are verified, for one test of a process after another: the verifier takes most of a test's time.
 *
 * A test has its object alone. Its maps are as new, and its handles end with the test. An object is not used again when its
 * test failed, or left what later tests would notice: a program that it took may be attached, one may still run, and its events
 * stay in the ring buffer.
 */
import { readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { type DatapathConfig, MAP_NAMES } from "../gen/index.js";
import { MapType } from "../kernel-constants.js";
import { type Fd, native } from "../native.js";
import { createTestObject, type OpenObject, openObject, type TestObject } from "./objects.js";
import { isResettable, resetMap } from "./reset-map.js";
import { runOnSkb, type SkbRun, type SkbRunOptions } from "./skb-run.js";

/** A test; other users are never known to have passed, and so leave no object to others. */
export type ObjectUser = Pick<TestContext, "after"> & { readonly passed?: boolean };

export interface PooledObject extends TestObject {
  /** Runs a tc program. Unlike `program` and `loaded`, it leaves the object to later tests. */
  run(program: string, options: SkbRunOptions): Promise<SkbRun>;
}

/** Objects that no test has, by what they were loaded with. Their handles end with the process. */
const free = new Map<string, OpenObject[]>();

/** Takes a free object or loads a new one; the test's end frees or closes it. */
export function takeObject(
  t: ObjectUser,
  name: string,
  maxEntries: Readonly<Record<string, number>> = {},
  config: Partial<DatapathConfig> = {},
): PooledObject {
  const key = JSON.stringify([name, maxEntries, config], (_, value) =>
    typeof value === "bigint" ? String(value) : value,
  );
  const list = free.get(key) ?? [];
  free.set(key, list);
  const known = list.pop();
  // Not when it was freed: whatever its test closed after that may have written until then.
  for (const map of Object.values(known?.maps ?? {})) if (!isRing(map)) resetMap(map);
  const object = known ?? openObject(name, maxEntries, config);
  const handles = new Map<string, Fd>();
  let isReusable = hasKnownState(object);
  let isOver = false;
  let running = 0;

  /** A handle of the test's own. */
  function map(mapName: string): Fd {
    const handle = handles.get(mapName) ?? native().mapById(native().mapInfo(object.map(mapName)).id);
    handles.set(mapName, handle);
    // Records cannot be taken out of a ring buffer at once; without the settings there are none.
    if (isRing(handle) || mapName === MAP_NAMES.eventSettings) isReusable = false;
    return handle;
  }

  function loaded(programName: string) {
    isReusable = false;
    return object.loaded(programName);
  }

  const { unmap, ...view } = createTestObject({ path: object.path, map, loaded });
  t.after(() => {
    isOver = true;
    unmap();
    for (const handle of handles.values()) handle.close();
    if (isReusable && running === 0 && t.passed === true) list.push(object);
    else object.close();
  });
  return {
    ...view,
    async run(programName, options) {
      if (isOver) throw new Error(`Cannot run program "${programName}": the test that had it is over`);
      running++;
      try {
        return await runOnSkb(object.loaded(programName).fd, options);
      } finally {
        running--;
      }
    },
  };
}

const isRing = (map: Fd): boolean => native().mapInfo(map).type === MapType.RingBuffer;

/** False when it has state that is in no map which can be reset, such as global variables. */
function hasKnownState({ path, maps }: OpenObject): boolean {
  const hasGlobals = /\.(bss|data)[.\0]/.test(readFileSync(path, "latin1"));
  return !hasGlobals && Object.values(maps).every((map) => isRing(map) || isResettable(native().mapInfo(map)));
}
