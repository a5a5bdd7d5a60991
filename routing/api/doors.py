"""What agents' clients ask all day goes through the quick doors."""

from crm.api import quick
from routing.api.viewsets import accept, complete

quick.register("POST", "offers/{id}/accept/", ("offers:write", "desk"), accept)
quick.register("POST", "work-items/{id}/complete/", ("work-items:write", "desk"), complete)
