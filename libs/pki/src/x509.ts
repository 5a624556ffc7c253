/** The X.509 library. Its container wants the reflection polyfill in place before it is loaded. */
import "reflect-metadata";

export * from "@peculiar/x509";
