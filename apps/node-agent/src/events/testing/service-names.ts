/** For tests: names of Services, from a desired state as an agent has it. */
import { serviceName } from "@isthmus/model";
import { makePlan } from "../../datapath/testing/testbed.js";
import { createDesiredState } from "../../desired/services/desired-state.js";
import { createServiceNames } from "../service-names.js";

/** The Service shop/web at 10.96.0.10:80/TCP. */
export function makeServiceNames() {
  const desired = createDesiredState();
  const web = serviceName("shop", "web");
  desired.setService(web, [makePlan(web, "10.96.0.10", [])]);
  return { desired, services: createServiceNames(desired) };
}
