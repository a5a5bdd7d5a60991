"""Boards over REST: the very figures that page and socket show."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from crm.access import Permission, require_somewhere
from crm.api.base import Door
from crm.errors import NotFound
from reports.models import Board
from reports.services import boards


class BoardList(Door):
    """`GET /boards/`."""

    noun = "boards"

    @extend_schema(operation_id="boards_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """The boards there are."""
        require_somewhere(request.user, Permission.WATCH_BOARDS)
        return Response({"results": boards.list_boards()})


class BoardDetail(Door):
    """`GET /boards/<slug>/`."""

    noun = "boards"

    @extend_schema(operation_id="boards_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, slug: str) -> Response:
        """The board now."""
        require_somewhere(request.user, Permission.WATCH_BOARDS)
        if not Board.objects.filter(slug=slug).exists():
            raise NotFound("There is no such board.")
        return Response(boards.snapshot(slug, request.user))
