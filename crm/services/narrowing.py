"""Rows of a list narrowed by words as they stand in an address, with the FilterSet that pages and REST use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from crm.errors import InvalidInput
from crm.models import User

Words = Mapping[str, Sequence[str]]  # a list's filters: name to values


@dataclass(frozen=True, slots=True)
class _Asker:
    """What filters ask of a request: who looks."""

    user: User


class _QueryWords(dict):
    """Filters by name as a form reads them: the last value, or all."""

    def get(self, name: str, default: Any = None) -> Any:
        values = super().get(name)
        return values[-1] if values else default

    def getlist(self, name: str) -> list[str]:
        return list(super().get(name) or [])

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(name)[-1]


def narrowed(rows: QuerySet, filters: Any, words: Words, user: User) -> QuerySet:
    """The rows that the words leave; InvalidInput by name for words that make no sense."""
    unknown = sorted(set(words) - set(filters.base_filters))
    found = filters(_QueryWords(words), queryset=rows, request=_Asker(user))
    if unknown or not found.is_valid():
        errors = {name: "does not narrow this list" for name in unknown}
        errors |= {name: " ".join(said) for name, said in found.form.errors.items()}
        raise InvalidInput("The list cannot be narrowed so.", errors=errors)
    return found.qs
