"""The style sheet of a report's page: light and dark, one colour a backend, readable on a phone."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --quiet: #5b6470; --grid: #e3e6ea; --lane: #f5f6f8;
  --warn: #fff4d6; --warn-edge: #b97700; --keras: #6b7280; --litert: #0b6bb8; --onnxruntime: #0a7f5a;
  --openvino: #c2500a; --tensorrt: #7a3fb5; --other: #7d6608; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e6e9ed; --quiet: #9aa4b0; --grid: #2b3138; --lane: #1b2026; --warn: #33290f;
    --warn-edge: #d9a43a; --keras: #a3acb8; --litert: #5cb3f5; --onnxruntime: #3fce9c; --openvino: #ff9050;
    --tensorrt: #c49bf2; --other: #d8c04a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; margin: .5rem 0; } h2 { font-size: 1.3rem; margin: 2.5rem 0 .25rem; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; } h4 { font-size: 1rem; margin: 0 0 .5rem; }
.quiet, figcaption, caption { color: var(--quiet); font-size: .875rem; }
a { color: inherit; } p { margin: .4rem 0; } li { margin: .2rem 0; }
.warnings { border-left: .3rem solid var(--warn-edge); background: var(--warn); padding: .5rem .9rem;
  margin: .8rem 0; }
.warnings ul { margin: .3rem 0; padding-left: 1.2rem; }
nav .mark, h2 .mark, h3 .mark { margin-left: .5rem; }
.mark { border: 1px solid currentColor; border-radius: .25rem; padding: 0 .35rem; font-size: .8rem;
  white-space: nowrap; }
.scroll { overflow-x: auto; margin: .6rem 0 1.2rem; }
.scroll:focus-visible { outline: 2px solid var(--litert); }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .3rem .6rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--grid); }
thead th { vertical-align: bottom; white-space: normal; overflow-wrap: normal; color: var(--quiet); font-weight: 600; }
th.n, td.n { text-align: right; }
tbody th { font-weight: 600; position: sticky; left: 0; background: var(--paper); white-space: normal;
  min-width: 9rem; }
@media (min-width: 60rem) { tbody th { min-width: 14rem; } }
tr:hover td, tr:hover th { background: var(--lane); }
.spot { float: left; width: .6rem; height: .6rem; border-radius: 50%; background: var(--c); margin: .4rem .4rem 0 0; }
.charts { display: grid; gap: 2rem 2.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
figure { margin: 0; max-width: 40rem; } svg { width: 100%; height: auto; display: block; overflow: visible; }
svg text { font: 13px system-ui, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .tick { fill: var(--quiet); } svg .strong { font-weight: 650; }
.grid { stroke: var(--grid); stroke-width: 1; }
.front { fill: none; stroke: var(--quiet); stroke-width: 1.5; stroke-dasharray: 1 4; stroke-linecap: round; }
.lane { fill: var(--lane); } .article { fill: none; stroke: var(--quiet); stroke-width: 1.5; }
.fill { fill: var(--c); }
.hollow { fill: var(--paper); stroke: var(--c); stroke-width: 2; } .stroke { stroke: var(--c); }
.level-0 { stroke-width: 7; } .level-1 { stroke-width: 4; } .level-2 { stroke-width: 1.5; }
.engine-keras { --c: var(--keras); } .engine-litert { --c: var(--litert); }
.engine-onnxruntime { --c: var(--onnxruntime); } .engine-openvino { --c: var(--openvino); }
.engine-tensorrt { --c: var(--tensorrt); } .engine-other { --c: var(--other); }
.stage-0 { fill: #4c8fd6; } .stage-1 { fill: #e0873a; } .stage-2 { fill: #3aa57c; } .stage-3 { fill: #b46bd1; }
.stage-4 { fill: #d65f7c; } .stage-5 { fill: #a79032; } .stage-6 { fill: #6f7fa8; } .stage-7 { fill: #7c6a5a; }
details { margin: 1rem 0; } summary { cursor: pointer; padding: .3rem 0; }
@media print { details { display: block; } .scroll { overflow: visible; } }
"""
"""No colour alone tells anything: every mark has its words beside it or in the table."""
