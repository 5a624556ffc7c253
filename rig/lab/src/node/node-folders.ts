/** The lab's folders inside a node: bind mounts, because a node has its own /var/lib. */
export const NODE_CONFIG_DIR = "/run/lab/config";
export const NODE_BIN_DIR = "/run/lab/bin";
