export { checkDocs } from "./docs.js";
export { ROOT, repositoryFiles } from "./files.js";
export { checkLayers, KEEPERS, type Package } from "./layers.js";
export { nodesOf, type ProductSource, productFolders, referencesOf, withProduct } from "./product.js";
export { type LayerTable, parseTable, writeTable } from "./table.js";
