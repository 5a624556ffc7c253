import { execFileSync } from "node:child_process";
import { Unfit } from "./step.mjs";

/** Returns the Debian mirror that the machine uses. */
export function debianMirror() {
  const format = "$(REPO_URI)";
  const targets = execFileSync("apt-get", ["indextargets", "--format", format, "Origin: Debian"], { encoding: "utf8" });
  const found = targets.split("\n").find((uri) => /\/debian\/?$/.test(uri));
  if (found === undefined) throw new Unfit("This machine knows no mirror of Debian: add one to the sources of apt");
  return found;
}
