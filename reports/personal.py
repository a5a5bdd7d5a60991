"""What boards keep, for the floor's register (`crm/personal.py`): nobody."""

from crm.personal import nobody

nobody("reports.Board", "slug", "title", "families")
