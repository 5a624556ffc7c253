/** The X.509 library. Its dependency injection needs the reflection polyfill, which must be imported first. */
import "reflect-metadata";

export * from "@peculiar/x509";
