/** The page's style. East blue, west orange, lost dark red: distinguishable with any colour vision, 4.5:1 for all text. */
export const STYLE = `
:root { --east: #0072b2; --west: #e69f00; --lost: #8b1a1a; --ink: #1a1a1a; --soft: #595959; --line: #d0d0d0; --good: #1b6e3c; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 24px; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: #fff; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 28px 0 8px; } h3 { font-size: 15px; margin: 0 0 4px; }
header p { color: var(--soft); margin: 0; max-width: 90ch; }
.verdict { font-size: 16px; padding: 2px 10px; border-radius: 12px; color: #fff; vertical-align: middle; }
.verdict.passed { background: var(--good); } .verdict.failed { background: var(--lost); }
.note { color: var(--soft); margin: 6px 10px; }
.problem { color: var(--lost) !important; font-weight: 600; }
svg { width: 100%; height: auto; display: block; }
.east { fill: var(--east); background: var(--east); } .west { fill: var(--west); background: var(--west); } .lost { fill: var(--lost); }
.band { fill: #f3f3f3; stroke: #b0b0b0; stroke-width: 1; } .band-name { font-size: 13px; font-weight: 600; text-anchor: middle; fill: var(--ink); }
.grid { stroke: var(--line); stroke-width: 1; } .tick { font-size: 12px; fill: var(--soft); }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.moved { fill: none; stroke: var(--ink); stroke-width: 1.6; }
.mark { stroke-width: 1.4; } .mark.fault { stroke: var(--lost); } .mark.watch { stroke: var(--ink); stroke-dasharray: 3 3; } .mark.heal { stroke: var(--good); stroke-dasharray: 1 3; }
circle.dot.fault { fill: var(--lost); } circle.dot.watch { fill: var(--ink); } circle.dot.heal { fill: var(--good); }
.legend { display: flex; flex-wrap: wrap; gap: 6px 20px; list-style: none; padding: 0; margin: 0 0 8px; }
.legend i { display: inline-block; width: 14px; height: 14px; margin-right: 6px; vertical-align: -2px; }
.legend .hatched { background: repeating-linear-gradient(45deg, #fff 0 2px, var(--lost) 2px 6px); border: 1px solid var(--lost); }
.legend .line { width: 0; border-left: 2px solid var(--lost); margin: 0 10px 0 4px; } .legend .line.moved { width: 14px; height: 0; border-left: 0; border-top: 2px solid var(--ink); margin: 0 6px 0 0; vertical-align: 4px; } .legend .line.watch { border-left: 2px dashed var(--ink); } .legend .line.heal { border-left: 2px dotted var(--good); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line); } thead th { color: var(--soft); font-weight: 600; }
td.passed, .checks .passed { color: var(--good); } td.failed, .checks .failed { color: var(--lost); font-weight: 600; }
.checks b { color: var(--ink); font-weight: 500; }
article { border-top: 1px solid var(--line); padding: 12px 0; } .two { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 4px 32px; }
ul.checks, ol.marks { list-style: none; padding: 0; margin: 0; }
.marks time { display: inline-block; width: 76px; text-align: right; margin-right: 10px; color: var(--soft); font-variant-numeric: tabular-nums; }
.marks i.dot { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 8px; background: var(--ink); } .marks i.fault { background: var(--lost); } .marks i.heal { background: var(--good); }
@media print { body { padding: 0; } article { break-inside: avoid; } }
`;
