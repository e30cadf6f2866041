"""How small tables of facts look, wherever they stand in the drill-down."""

from typing import Final

FACTS: Final = """
:host { height: 100%; }
.facts { position: absolute; inset: 0; overflow: auto; outline-offset: -2px; scrollbar-color: var(--line) var(--panel); }
p { margin: 0; padding: 2px 6px 4px; font: 11px/15px var(--font); color: var(--text); }
table { border-collapse: collapse; width: 100%; font-family: var(--font); font-size: 11px; color: var(--text); }
th, td { padding: 1px 6px; white-space: nowrap; text-align: left; line-height: 17px; }
th { position: sticky; top: 0; background: var(--panel); color: var(--muted); font-weight: 600; }
tbody tr:nth-child(even) { background: var(--odd); }
tbody tr:hover { background: var(--hover); }
.r { text-align: right; font-variant-numeric: tabular-nums; }
.neg { color: var(--bad); }
"""
