"""In the house's own process: what people there did with the people of the drill, so that they stand everywhere."""

import json
import sys

from bench import ready  # noqa: F401 - Django before its models
from bench.drills.erasures import MARK
from crm.models import Customer, Export, IdempotencyKey, Identity, Interaction, User
from crm.services import customers, exports, imports, interactions, merges, messages, tickets


def main() -> None:
    by = User.objects.get(email="auditor@example.com")
    User.objects.filter(pk=by.pk).update(role="administrator")
    by.refresh_from_db()
    people = list(Customer.objects.filter(name__startswith=MARK).order_by("pk"))
    for place, one in enumerate(people):
        contact = Interaction.objects.filter(customer=one, folded_into=None).order_by("pk").first()
        customers.edit(one, {"note": f"{MARK} likes tea"}, by=by)
        if contact is None:
            continue
        messages.note(contact, by=by, text=f"{one.name} rings twice")
        tickets.edit(contact.ticket, {"subject": f"Parcel of {one.name}"}, by=by)
        tickets.pause(contact.ticket, reason=f"waits for {one.name}", by=by)
        if place % 5 == 0:
            double = Customer.objects.create(name=f"{one.name} again")
            Identity.objects.create(
                customer=double, kind="email", value=f"{MARK}{one.pk}@mail.test", name=double.name
            )
            merges.merge(one, double, by=by)
        if place % 10 == 0:
            IdempotencyKey.objects.create(
                user=by, key=f"{place}", digest="d", status=201, body={"text": one.name}
            )
    lines = "".join(f"{one.name},{MARK}{one.pk}@import.test\n" for one in people[:50])
    imports.check(imports.upload(f"name,email\n{lines}".encode(), "people.csv", by=by))
    while found := imports.due():
        imports.work(found[0])
    exports.ask("customers", "csv", {"search": [people[0].name]}, by=by)
    kept = Export.objects.create(noun="customers", form="csv", by=by, role=by.role)
    exports.work(kept.pk)
    # What is open would be closed by the erasures themselves; the figures are taken when all is at rest.
    for contact in Interaction.objects.filter(status="open").order_by("pk").values_list("pk", flat=True):
        interactions.close(contact, by=by)
    json.dump({"customers": [one.pk for one in people]}, sys.stdout)


if __name__ == "__main__":
    main()
