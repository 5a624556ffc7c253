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

/** An object with new maps, and those of its programs that were asked for. */
export interface OpenObject extends Pick<TestObject, "map" | "loaded"> {
  readonly path: string;
  readonly maps: LoadedObject["maps"];
  close(): void;
}

export function openObject(
  name: string,
  maxEntries: Readonly<Record<string, number>>,
  config: Partial<DatapathConfig>,
): OpenObject {
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
  return {
    path,
    maps,
    map(mapName) {
      const fd = maps[mapName];
      if (fd === undefined) throw new Error(`Cannot find map "${mapName}" in object "${name}"`);
      return fd;
    },
    loaded(programName) {
      const known = programs.get(programName);
      if (known !== undefined) return known;
      const object = native().loadObject(path, { rodata, reuse: maps, programs: [programName] });
      for (const each of Object.values(object.maps)) each.close();
      const program = object.programs[programName];
      if (program === undefined) throw new Error(`Cannot find program "${programName}" in object "${name}"`);
      programs.set(programName, program);
      return program;
    },
    close() {
      for (const map of Object.values(maps)) map.close();
      for (const { fd } of programs.values()) fd.close();
    },
  };
}

export function loadTestObject(
  t: Pick<TestContext, "after">,
  name: string,
  maxEntries: Readonly<Record<string, number>> = {},
  config: Partial<DatapathConfig> = {},
): TestObject {
  const object = openObject(name, maxEntries, config);
  const { unmap, ...loaded } = createTestObject(object);
  t.after(() => {
    unmap();
    object.close();
  });
  return loaded;
}

/** What a test has of an open object. `unmap` closes its arrays and tables. */
export function createTestObject({
  path,
  map,
  loaded,
}: Pick<OpenObject, "path" | "map" | "loaded">): TestObject & { unmap(): void } {
  const close: (() => void)[] = [];
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
      if (segment === undefined) throw new Error(`Cannot find tables in "${path}"`);
      const tables = await openTables(map(MAP_NAMES.tables), segment);
      close.push(tables.close);
      return tables;
    },
    unmap() {
      for (const call of close) call();
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
