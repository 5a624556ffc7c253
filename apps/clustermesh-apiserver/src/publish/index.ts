export type { ExportChange, ExportSource } from "./export-source.js";
export { createPublisher, type Publisher, type PublisherModules, type PublisherSettings } from "./publisher.js";
export { offStatus } from "./status.js";
