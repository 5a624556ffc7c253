/** Writes out/demo.html: one self-contained page, also for print. */
import type { FaultResult } from "../judge/judge.js";
import type { FaultReport, Report } from "../judge/report.js";
import { chart } from "./chart.js";
import { escapeHtml } from "./escape.js";
import { STYLE } from "./style.js";
import { deniedNote, lossNotes, row } from "./table.js";

const HEADERS = [
  "Fault",
  "Sent",
  "OK",
  "Lost",
  "Moves",
  "Slowest connect",
  "Longest gap",
  "First from west",
  "East",
  "West",
  "Result",
];

export function reportHtml(report: Report): string {
  const verdict = report.passed ? "passed" : "failed";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Isthmus demo: ${verdict}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Isthmus demo <span class="verdict ${verdict}">${report.passed ? "✓ all passed" : "✗ not passed"}</span></h1>
<p>${escapeHtml(lead(report))}</p>
${report.problem === null ? "" : `<p class="problem">Ended early: ${escapeHtml(report.problem)}</p>`}
</header>
<section>
<h2>Requests per second</h2>
<ul class="legend"><li><i class="east"></i>answered by east</li><li><i class="west"></i>answered by west</li><li><i class="hatched"></i>lost</li><li><i class="line moved"></i>moves of connects to another backend</li>
<li><i class="line fault"></i>fault</li><li><i class="line watch"></i>Kubernetes says so</li><li><i class="line heal"></i>back</li></ul>
${chart(report)}
</section>
<section>
<h2>Results</h2>
<table><thead><tr>${HEADERS.map((header) => `<th scope="col">${header}</th>`).join("")}</tr></thead>
<tbody>${report.faults.map(tableRow).join("")}</tbody></table>
${[deniedNote(report), ...lossNotes(report.faults)].map((note) => `<p class="note">${escapeHtml(note)}</p>`).join("")}
</section>
<section>
<h2>Checks and timeline</h2>
${report.faults.map((fault) => details(fault, report.begun)).join("\n")}
</section>
</body>
</html>
`;
}

function lead(report: Report): string {
  const sent = report.seconds.reduce((sum, s) => sum + s.east + s.west + s.lost, 0);
  return (
    `Two Kubernetes clusters, one global Service with affinity local unless a fault says otherwise, three pods in each. A client in east made ${report.rate} new ` +
    `connections a second, ${sent} in all, none repeated by it, each with a deadline of 1 s from the time it was due. Begun ${report.startedAt}.`
  );
}

function tableRow(fault: FaultReport): string {
  const [name = "", ...cells] = row(fault);
  const last = cells.pop() ?? "";
  const body = cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("");
  const state = fault.passed ? "passed" : "failed";
  return `<tr><th scope="row">${escapeHtml(name)}</th>${body}<td class="${state}">${fault.passed ? "✓" : "✗"} ${last}</td></tr>\n`;
}

function details(fault: FaultResult, begun: number): string {
  const checks = fault.checks.map(
    (check) =>
      `<li class="${check.passed ? "passed" : "failed"}">${check.passed ? "✓" : "✗"} ${escapeHtml(check.text)} <b>${escapeHtml(check.detail)}</b></li>`,
  );
  const marks = fault.marks.map(
    (mark) =>
      `<li><time>${((mark.at - begun) / 1000).toFixed(2)} s</time> <i class="dot ${mark.kind}"></i>${escapeHtml(mark.text)}</li>`,
  );
  return `<article><h3>${escapeHtml(fault.name)}</h3><div class="two"><ul class="checks">${checks.join("")}</ul><ol class="marks">${marks.join("")}</ol></div></article>`;
}
