/** The lab's folders as a node sees them: bound there because its /var/lib is its own. */
export const NODE_CONFIG_DIR = "/run/lab/config";
export const NODE_BIN_DIR = "/run/lab/bin";
