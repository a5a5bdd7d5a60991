"""The plug for parts of the context card: an app above registers a function of customer ids."""

from collections.abc import Callable

Part = Callable[[list[int]], dict[int, object]]
_parts: dict[str, Part] = {}


def register(name: str, part: Part) -> None:
    """Plug a part in under its name; a list of customer ids in, what to show for each out."""
    _parts[name] = part


def parts(customer_ids: list[int]) -> dict[int, dict[str, object]]:
    """Every registered part, by customer and name; each part is asked once for the whole list."""
    answered = {name: part(customer_ids) for name, part in _parts.items()}
    return {one: {name: by_id.get(one) for name, by_id in answered.items()} for one in customer_ids}
