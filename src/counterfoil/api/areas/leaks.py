"""The leak board: dollars that the match found, mended, accepted and open."""

from __future__ import annotations

from counterfoil.api.area import Area
from counterfoil.api.shapes import many, row
from counterfoil.matching import leaks

area = Area("Leaks")

area.report("/leaks", row(leaks.LeakTotals), leaks.leak_totals)
area.report("/leaks/by", many(row(leaks.LeakRow)), leaks.leaks_by)
area.report("/leaks/months", many(row(leaks.LeakMonth)), leaks.leaks_over_months)
