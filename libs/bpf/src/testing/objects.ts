/** Loads test objects (bpf/tests/*.bpf.c) with new maps, and closes them when the test ends. */
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { ArrayPort } from "@isthmus/reconcile";
import { createMappedArray } from "../array-map.js";
import type { TablesPort } from "../datapath-port.js";
import { DatapathConfig, MAP_NAMES } from "../gen/index.js";
import { createHashMap } from "../hash-map.js";
import { type Fd, type LoadedObject, native } from "../native.js";
import { openTables } from "../tables.js";

export const OBJECTS = fileURLToPath(new URL("../../../../bpf/build", import.meta.url));

/** Objects without the configuration variable. */
const WITHOUT_CONFIG: ReadonlySet<string> = new Set([
  "events_test",
  "refused_test",
  "hold_test",
  "device_test",
  "fragment_race_test",
]);

export interface TestObject {
  /** Loads it at the first call: the verifier takes most of a test's time. */
  program(name: string): Fd;
  /** The same, with how it is attached. */
  loaded(name: string): LoadedObject["programs"][string];
  map(name: string): Fd;
  array(name: string): ArrayPort;
  tables(): Promise<TablesPort>;
}

export function loadTestObject(
  t: Pick<TestContext, "after">,
  name: string,
  maxEntries: Record<string, number> = {},
  config: Partial<DatapathConfig> = {},
): TestObject {
  const rodata = WITHOUT_CONFIG.has(name)
    ? {}
    : {
        config: DatapathConfig.encode({
          clusterId: 1,
          flags: 0,
          netnsCookie: 0n,
          flowSeed: 0n,
          flowSets: 0n,
          ...config,
        }),
      };
  const path = `${OBJECTS}/${name}.bpf.o`;
  const { maps } = native().loadObject(path, { rodata, maxEntries, programs: [] });
  const programs = new Map<string, ReturnType<TestObject["loaded"]>>();
  const close: (() => void)[] = [];
  t.after(() => {
    for (const call of close) call();
    for (const map of Object.values(maps)) map.close();
    for (const { fd } of programs.values()) fd.close();
  });

  function map(mapName: string): Fd {
    const fd = maps[mapName];
    if (fd === undefined) throw new Error(`Cannot find map "${mapName}" in object "${name}"`);
    return fd;
  }

  function loaded(programName: string) {
    const known = programs.get(programName);
    if (known !== undefined) return known;
    const object = native().loadObject(path, { rodata, reuse: maps, programs: [programName] });
    for (const each of Object.values(object.maps)) each.close();
    const program = object.programs[programName];
    if (program === undefined) throw new Error(`Cannot find program "${programName}" in object "${name}"`);
    programs.set(programName, program);
    return program;
  }

  return {
    map,
    loaded,
    program: (programName) => loaded(programName).fd,
    array: (mapName) => {
      const array = createMappedArray(mapName, map(mapName));
      close.push(array.close);
      return array;
    },
    tables: async () => {
      const segment = native().objectMaps(path)[MAP_NAMES.tables]?.inner;
      if (segment === undefined) throw new Error(`Cannot find tables in object "${name}"`);
      const tables = await openTables(map(MAP_NAMES.tables), segment);
      close.push(tables.close);
      return tables;
    },
  };
}

/** The maps that backend selection reads, and the frontends where the object has that map. */
export async function openSelection(loaded: TestObject) {
  return {
    services: loaded.array(MAP_NAMES.services),
    backends: loaded.array(MAP_NAMES.backends),
    clusterState: loaded.array(MAP_NAMES.clusterState),
    nodeState: loaded.array(MAP_NAMES.nodeState),
    counts: loaded.array("mesh_test_counts"),
    tables: await loaded.tables(),
    frontends: () => createHashMap(MAP_NAMES.frontends, loaded.map(MAP_NAMES.frontends)),
  };
}
