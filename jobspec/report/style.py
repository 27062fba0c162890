"""How the page looks: light or dark as the reader has it, from a phone's width up.

Promises: no file, font or address from elsewhere; the policy in the page's head lets a browser load and run nothing.
"""

from __future__ import annotations

POLICY = "default-src 'none'; style-src 'unsafe-inline'"

CSS = """
:root { color-scheme: light dark; --ink: #1a1d21; --quiet: #5b6470; --paper: #fff; --rule: #d5dae0; --shade: #f4f6f8;
  --c0: #0b62a8; --c1: #b3470a; --c2: #20713f; --c3: #7a3ea1; --c4: #9c2745; --c5: #5c5f00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --quiet: #9aa4b0; --paper: #14171a; --rule: #343a41;
  --shade: #1d2126; --c0: #6db3f2; --c1: #f0a06a; --c2: #7fd39b; --c3: #c79be8; --c4: #f28fa9; --c5: #cfd06a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 66rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--rule); }
nav ul, .legend { list-style: none; padding: 0; margin: .25rem 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
a { color: var(--c0); }
figure { margin: 1rem 0; } figcaption { font-size: .9rem; }
.wide { overflow-x: auto; } .wide > svg { width: 100%; min-width: 30rem; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); } svg text.quiet { fill: var(--quiet); }
.grid { stroke: var(--rule); } .axis { stroke: var(--quiet); }
.line { fill: none; stroke-width: 1.6; stroke-linejoin: round; } .edge { stroke: var(--paper); stroke-width: .4; }
.key { width: 1.7em; height: .7em; }
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); } .c4 { --c: var(--c4); }
.c5 { --c: var(--c5); } .line { stroke: var(--c); } .fill, .dot { fill: var(--c); }
table { border-collapse: collapse; font-size: .9rem; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; } code, pre, .hash { font-family: ui-monospace, monospace; font-size: .85rem; }
.hash { overflow-wrap: anywhere; }
pre { background: var(--shade); padding: .8rem; overflow-x: auto; white-space: pre; tab-size: 2; }
.quiet { color: var(--quiet); }
:focus-visible { outline: 2px solid var(--c0); }
@media print { .wide { overflow: visible; } pre { white-space: pre-wrap; } }
"""
