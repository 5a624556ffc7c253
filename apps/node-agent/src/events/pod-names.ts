/** The names of this node's pods, by address and by device. */
import { type Address, bytesKey } from "@isthmus/model";

/** The pod's name in Kubernetes. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

export interface PodNames {
  /** The pod has these addresses and this device, which is the node's side of its veth. */
  set(ifindex: number, pod: PodName & { readonly addresses: readonly Address[] }): void;
  /** Forgets a device, and its pod's addresses unless another pod has them by now. */
  delete(ifindex: number): void;
  /** `address`: 16 bytes. */
  byAddress(address: Uint8Array): PodName | undefined;
  /** Undefined for a device that is no pod's. */
  byDevice(ifindex: number): PodName | undefined;
  /** True for a pod of this node. */
  has(pod: PodName): boolean;
  /** Calls the listener after each change. */
  onChange(listener: () => void): void;
}

/** Without pods. */
export function createPodNames(): PodNames {
  const byDevice = new Map<number, PodName & { readonly keys: readonly string[] }>();
  const byAddress = new Map<string, PodName>();
  const listeners: (() => void)[] = [];
  const remove = (ifindex: number) => {
    const pod = byDevice.get(ifindex);
    byDevice.delete(ifindex);
    for (const key of pod?.keys ?? []) if (byAddress.get(key) === pod) byAddress.delete(key);
  };
  const changed = () => {
    for (const listener of listeners) listener();
  };
  return {
    set(ifindex, { namespace, name, addresses }) {
      remove(ifindex);
      const pod = { namespace, name, keys: addresses.map(bytesKey) };
      byDevice.set(ifindex, pod);
      for (const key of pod.keys) byAddress.set(key, pod);
      changed();
    },
    delete(ifindex) {
      remove(ifindex);
      changed();
    },
    byAddress: (address) => byAddress.get(bytesKey(address)),
    byDevice: (ifindex) => byDevice.get(ifindex),
    has: ({ namespace, name }) =>
      [...byDevice.values()].some((pod) => pod.name === name && pod.namespace === namespace),
    onChange: (listener) => void listeners.push(listener),
  };
}
