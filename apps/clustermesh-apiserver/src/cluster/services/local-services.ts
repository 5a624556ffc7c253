/** The local cluster's Services as their users wrote them, with the notes to report on each. */
import type { ServiceName } from "@isthmus/model";
import type { KnownService } from "./service-table.js";

export interface LocalServices {
  /** Undefined when there is no such Service, or Services have not been read yet. */
  get(service: ServiceName): KnownService | undefined;
  all(): Iterable<KnownService>;
  /**
   * Calls the listener with the Services whose object or notes changed, deleted ones included. Returns a function that
   * removes it.
   */
  onChange(listener: (services: readonly ServiceName[]) => void): () => void;
}
