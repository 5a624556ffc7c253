/**
 * Requests per second by cluster as an SVG: stacked columns, one per second, faults marked above.
 *
 * The colours are distinguishable with any kind of colour vision; lost requests are also hatched.
 */
import type { Report, Second } from "../judge/report.js";
import { escapeHtml } from "./escape.js";

const WIDTH = 1180;
const LEFT = 46;
const TOP = 64;
const HEIGHT = 220;
const BOTTOM = 34;

export function chart(report: Report): string {
  const seconds = report.seconds;
  const scaleX = (WIDTH - LEFT - 10) / Math.max(1, seconds.length);
  const top = Math.max(report.rate * 1.1, ...seconds.map((s) => Math.max(s.east + s.west + s.lost, s.moved)));
  const y = (value: number) => TOP + HEIGHT - (value / top) * HEIGHT;
  const x = (second: number) => LEFT + second * scaleX;
  const at = (mono: number) => x((mono - report.begun) / 1000);
  return `<svg viewBox="0 0 ${WIDTH} ${TOP + HEIGHT + BOTTOM}" role="img" aria-labelledby="chart-title">
<title id="chart-title">Requests per second, by the cluster that answered, with moved connects and the faults marked</title>
<defs><pattern id="hatch" width="6" height="6" patternTransform="rotate(45)" patternUnits="userSpaceOnUse">
<rect width="6" height="6" class="lost"/><rect width="2" height="6" fill="#fff"/></pattern></defs>
${bands(report, at)}
${columns(seconds, x, y, scaleX)}
${axes(report, seconds.length, x, y)}
${movesLine(seconds, x, y)}
${faultLines(report, at)}
</svg>`;
}

function bands(report: Report, at: (mono: number) => number): string {
  return report.faults
    .map((fault, n) => {
      const left = at(fault.window.from);
      const width = at(fault.window.to) - left;
      const label = `<text x="${fix(left + width / 2)}" y="${n % 2 === 0 ? 18 : 36}" class="band-name">${escapeHtml(fault.name)} ${fault.passed ? "✓" : "✗"}</text>`;
      return `<rect x="${fix(left)}" y="${TOP - 18}" width="${fix(width)}" height="${HEIGHT + 18}" class="band"/>${label}`;
    })
    .join("\n");
}

function columns(
  seconds: readonly Second[],
  x: (s: number) => number,
  y: (v: number) => number,
  width: number,
): string {
  const column = (second: Second): string => {
    let base = 0;
    const part = (value: number, attributes: string): string => {
      if (value === 0) return "";
      const from = base;
      base += value;
      return `<rect x="${fix(x(second.at))}" y="${fix(y(base))}" width="${fix(Math.max(0.6, width - 0.6))}" height="${fix(y(from) - y(base))}" ${attributes}/>`;
    };
    return (
      part(second.east, 'class="east"') + part(second.west, 'class="west"') + part(second.lost, 'fill="url(#hatch)"')
    );
  };
  return seconds.map(column).join("\n");
}

/** A step for each second; absent when nothing was moved. */
function movesLine(seconds: readonly Second[], x: (s: number) => number, y: (v: number) => number): string {
  if (seconds.every(({ moved }) => moved === 0)) return "";
  const steps = seconds.map(({ at, moved }) => `${fix(x(at))},${fix(y(moved))} ${fix(x(at + 1))},${fix(y(moved))}`);
  return `<polyline points="${steps.join(" ")}" class="moved"><title>Connects moved to another backend, per second</title></polyline>`;
}

function axes(report: Report, seconds: number, x: (s: number) => number, y: (v: number) => number): string {
  const rows = [0, report.rate / 2, report.rate].map(
    (value) =>
      `<line x1="${LEFT}" x2="${WIDTH - 10}" y1="${fix(y(value))}" y2="${fix(y(value))}" class="grid"/><text x="${LEFT - 6}" y="${fix(y(value) + 4)}" class="tick end">${value}</text>`,
  );
  const step = seconds > 90 ? 20 : 10;
  const ticks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, n) => n * step).map(
    (second) => `<text x="${fix(x(second))}" y="${TOP + HEIGHT + 18}" class="tick middle">${second} s</text>`,
  );
  return [...rows, ...ticks].join("\n");
}

function faultLines(report: Report, at: (mono: number) => number): string {
  return report.marks
    .map((mark) => {
      const where = fix(at(mark.at));
      return `<g><title>${escapeHtml(mark.text)}</title><line x1="${where}" x2="${where}" y1="${TOP - 12}" y2="${TOP + HEIGHT}" class="mark ${mark.kind}"/><circle cx="${where}" cy="${TOP - 12}" r="3.5" class="dot ${mark.kind}"/></g>`;
    })
    .join("\n");
}

function fix(value: number): string {
  return value.toFixed(1);
}
