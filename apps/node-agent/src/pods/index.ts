export { readAttachments } from "./attachments.js";
export { CNI_TRY_AGAIN, CniError } from "./cni-error.js";
export { startPods } from "./start-pods.js";
export type * from "./types.js";
