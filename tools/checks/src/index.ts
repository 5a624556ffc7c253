export { checkDocs } from "./docs.js";
export { checkLayers, KEEPERS, type Package } from "./layers.js";
export { type LayerTable, parseTable, writeTable } from "./table.js";
