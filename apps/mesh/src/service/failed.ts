/** Decides which frontends make `mesh service list` fail. */
import { type FrontendReport, FrontendState } from "@isthmus/proto";
import { FRONTEND_STATES, frontendStates } from "@isthmus/records";

const { FRONTEND_STATE_NO_BACKEND, FRONTEND_STATE_UNSPECIFIED } = FrontendState;

/**
 * True for a state that this version does not know, of a newer apiserver, and for an error of one that does not set the
 * enum. A Service without a ready backend is no error of the mesh.
 */
export function isFailed({ frontendState, status }: FrontendReport): boolean {
  if (frontendState !== FRONTEND_STATE_UNSPECIFIED)
    return !FRONTEND_STATES.some(({ value }) => value === frontendState);
  return status.startsWith("Error") && frontendStates.read(frontendState, status) !== FRONTEND_STATE_NO_BACKEND;
}
