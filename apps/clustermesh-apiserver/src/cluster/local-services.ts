/** The local cluster's Services as their users wrote them, and what of that must be reported. */
import type { ServiceName } from "@isthmus/model";
import type { KnownService } from "./service-table.js";

export interface LocalServices {
  /** Undefined when there is no such Service, or none was read yet. */
  get(service: ServiceName): KnownService | undefined;
  all(): Iterable<KnownService>;
  /** Called with the Services whose object or notes changed; gone ones, too. Returns the way to stop. */
  onChange(listener: (services: readonly ServiceName[]) => void): () => void;
}
