"""Is this the same person? Columns get roles, records become comparable, agreement is weighed, pairs are reported. Pure.

The order of reading: `roles` (what a column is), `people` (a record made comparable), `likeness` (how alike two
values are), `weighing` (what that says), `linking` (which records are compared at all, and which pairs stand).
"""

from crm.matching.linking import Match, find
from crm.matching.people import Person, Reader
from crm.matching.roles import Role, guess
from crm.matching.weighing import THRESHOLD, Population, Reason, Weighed

__all__ = [
    "THRESHOLD",
    "Match",
    "Person",
    "Population",
    "Reader",
    "Reason",
    "Role",
    "Weighed",
    "find",
    "guess",
]
