/** Reads rows of a node's pinned services map: a change has arrived when the words of the row have changed. */
import { createHashMap, createMappedArray, FrontendKey, FrontendRow, MAP_NAMES, native } from "@isthmus/bpf";
import { bytesKey, formatAddress } from "@isthmus/model";

export interface ServiceRows {
  /** Current index of each frontend (`10.97.0.5:80/6`) in the map. */
  frontends(): Promise<ReadonlyMap<string, number>>;
  /** The row's bytes as a string, to compare them. */
  read(index: number): string;
  close(): void;
}

/** `pins`: the node's folder in bpffs. */
export function openServiceRows(pins: string): ServiceRows {
  const open = (noun: "services" | "frontends") => native().openPin(`${pins}/${MAP_NAMES[noun]}`);
  const frontendsPin = open("frontends");
  const servicesPin = open("services");
  const frontends = createHashMap(MAP_NAMES.frontends, frontendsPin);
  const services = createMappedArray(MAP_NAMES.services, servicesPin);
  servicesPin.close();
  return {
    async frontends() {
      const rows = [...(await frontends.load())].map(([key, value]): [string, number] => {
        const { addr, port, proto } = FrontendKey.decode(Buffer.from(key, "latin1"));
        return [`${formatAddress(addr)}:${port}/${proto}`, FrontendRow.decode(value).service];
      });
      return new Map(rows);
    },
    read: (index) => bytesKey(services.read(index)),
    close() {
      services.close();
      frontendsPin.close();
    },
  };
}
