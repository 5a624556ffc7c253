/** Passes messages of a stream to a source, and answers what it asks for. */
import type { Buckets, ToAgent } from "@isthmus/proto";
import type { Source, SourceStep } from "../source-types.js";

/** Passes one message on; a message that is not about records changes nothing. */
export function feedSource(source: Source, { message }: ToAgent): SourceStep {
  if (message?.$case === "batch") return source.batch(message.value);
  if (message?.$case === "mark") return source.mark(message.value);
  if (message?.$case === "bucket") return source.bucket(message.value);
  return {};
}

/** Answers the buckets that `step` asks for, and those that the answers ask for; returns the steps of all answers. */
export function answerAll(
  source: Source,
  step: SourceStep | undefined,
  answer: (asked: Buckets) => readonly ToAgent[],
): SourceStep[] {
  const steps: SourceStep[] = [];
  for (let asked = step?.buckets; asked !== undefined; ) {
    const answered = answer(asked).map((message) => feedSource(source, message));
    steps.push(...answered);
    asked = answered.findLast(({ buckets }) => buckets !== undefined)?.buckets;
  }
  return steps;
}
