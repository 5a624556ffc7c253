/** Writes new notes on Services as Events. */
import { type EventRecorder, SERVICES } from "@isthmus/kube";
import type { ServiceTableFlush } from "./services/service-table.js";

export function reportNotes(notes: ServiceTableFlush["notes"], events: EventRecorder): void {
  for (const { facts, note } of notes) {
    const [namespace = "", name = ""] = facts.service.split("/");
    const about = { resource: SERVICES, namespace, name, uid: facts.uid };
    const action = note.topic === "export" ? "Export" : "Validate";
    events.report({ ...about, type: "Warning", reason: note.reason, action, note: note.sentence });
  }
}
