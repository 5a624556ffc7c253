/**
 * Live progress on stderr: a line for every event, and on a terminal one more that shows the last second.
 */
import type { Mark } from "./judge/runs.js";
import type { SampleLog } from "./samples/log.js";
import { monoNow } from "./samples/sample.js";

export interface Progress {
  say(sentence: string): void;
  mark(fault: string, mark: Mark): void;
  watch(log: SampleLog): void;
  stop(): void;
}

export interface Screen {
  readonly terminal: boolean;
  write(text: string): void;
}

export function createProgress(screen: Screen): Progress {
  const begun = monoNow();
  let last = "";
  let timer: NodeJS.Timeout | undefined;
  const clear = screen.terminal ? "\r\x1b[K" : "";
  const line = (text: string): void => {
    const seconds = ((monoNow() - begun) / 1000).toFixed(1).padStart(6);
    screen.write(`${clear}${seconds} s  ${text}\n${screen.terminal ? last : ""}`);
  };
  return {
    say: line,
    mark: (fault, mark) => line(`${fault.padEnd(13)}${mark.kind.padEnd(6)} ${mark.text}`),
    watch(log) {
      if (!screen.terminal) return;
      clearInterval(timer);
      timer = setInterval(() => {
        last = `          ${lastSecond(log)}`;
        screen.write(`${clear}${last}`);
      }, 1000);
      timer.unref();
    },
    stop() {
      clearInterval(timer);
      screen.write(clear);
    },
  };
}

/** "east 0/s, west 100/s, lost 0 (0 in all)". */
export function lastSecond(log: SampleLog): string {
  const samples = log.samples();
  const lost = samples.filter((sample) => sample.outcome !== "ok").length;
  const recent = samples.slice(-(log.started()?.rate ?? 100));
  const by = (cluster: string) => recent.filter((sample) => sample.cluster === cluster).length;
  const gone = recent.filter((sample) => sample.outcome !== "ok").length;
  return `east ${by("east")}/s, west ${by("west")}/s, lost ${gone}/s (${lost} in all)`;
}
