"""Who gets what answer at every door. `test_access.py` walks the whole table; a door that is not listed fails the build.

Roles: A administrator, S supervisor and G agent of a team, M marketing of that team, U auditor, C API client.
*Own* is a thing of that team (what can be held is held by, or offered to, the agent G); *foreign* is the same thing of a
closed team and its agent. Every cell names all six roles. Anonymous callers, and people who were deactivated, are told by
the kind of door: pages and the admin lead to the login (302), REST says 401, sockets close with 4401.
"""

from dataclasses import dataclass, field

from crm.choices import Role

ROLES = {
    "A": Role.ADMINISTRATOR,
    "S": Role.SUPERVISOR,
    "G": Role.AGENT,
    "M": Role.MARKETING,
    "U": Role.AUDITOR,
    "C": Role.API_CLIENT,
}
EVERYBODY = "200:ASGMUC"
SEES_ALL = "200:AUC 404:SGM"  # of a closed team: only who sees everything
SPEAKS = {"reason": "billing", "outcome": "solved"}


@dataclass(frozen=True, slots=True)
class Door:
    """One method at one address. `scope`: a token needs one of these words. `login`: answers to callers without a login."""

    method: str
    path: str
    own: str
    foreign: str = ""
    scope: str = ""
    body: dict = field(default_factory=dict)
    login: int = 0

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def api(method: str, path: str, own: str, foreign: str = "", *, scope: str = "", **body: object) -> Door:
    """A REST door: its scope follows from noun and method unless named."""
    noun = path.split("/")[0]
    scope = scope or f"{noun}:{'read' if method == 'GET' else 'write'}"
    # A body may have a field that is called like a parameter of this function.
    body = {name.removesuffix("_"): value for name, value in body.items()}
    return Door(method, f"/api/v1/{path}", own, foreign, scope, body, 401)


def page(method: str, path: str, own: str, foreign: str = "", **body: object) -> Door:
    """A page or an act of a page."""
    return Door(method, path, own, foreign, "", body, 302)


ANGRY = {"column": "priority", "op": "any_of", "value": ["urgent"]}
ANSWERS = [{"question": "csat", "score": 5, "at": "2026-01-01T00:00:00Z"}]
ORDERS = [{"number": "A-1", "at": "2026-01-01T00:00:00Z", "amount": "9.90"}]

# Changes of rights: with no token, whatever its scopes.
NOT_BY_TOKEN = {
    "POST /api/v1/right-sets/", "PATCH /api/v1/right-sets/{right_set}/", "POST /api/v1/grants/",
    "POST /api/v1/grants/{grant}/take/",
}  # fmt: skip

REST = [
    api("GET", "customers/", EVERYBODY),
    api("GET", "customers/{customer}/", EVERYBODY, EVERYBODY),
    api("POST", "customers/", "201:ASGMC 403:U", name="Zoë Quistgaard", addresses=[{"kind": "x", "value": "@zoeq"}]),
    api(
        "POST", "customers/{customer}/identities/", "201:ASGMC 403:U", "201:ASGMC 403:U", kind="email", value="other@example.com",
    ),
    api("POST", "customers/{customer}/orders/", "201:ASGMC 403:U", "201:ASGMC 403:U", orders=ORDERS),
    api("POST", "customers/{customer}/consents/", "201:ASGMC 403:U", "201:ASGMC 403:U", purpose="survey", given=True),
    api("POST", "customers/{customer}/surveys/", "201:ASGMC 403:U", "201:ASGMC 403:U", surveys=ANSWERS),
    api("GET", "surveys/", EVERYBODY, scope="customers:read"),
    # An answer about a ticket of that team.
    api("GET", "surveys/{survey}/", EVERYBODY, SEES_ALL, scope="customers:read"),
    api("PATCH", "identities/{identity}/", "200:ASGMC 403:U", "200:ASGMC 403:U", trust="verified"),
    api("GET", "companies/", EVERYBODY),
    api("POST", "companies/", "201:ASGMC 403:U", name="Acme"),
    api("GET", "companies/{company}/", EVERYBODY, EVERYBODY),
    api("PATCH", "companies/{company}/", "200:ASGMC 403:U", "200:ASGMC 403:U", note="in two houses"),
    api("GET", "companies/{company}/restricted/", "200:AS 403:GMUC", "200:AS 403:GMUC"),
    api("PUT", "companies/{company}/restricted/", "200:AS 403:GMUC", "200:AS 403:GMUC", fields={}),
    api("GET", "tags/", EVERYBODY),
    api("POST", "tags/", "201:ASGMC 403:U", slug="loyal", name="Loyal"),
    api("GET", "tags/{tag}/", EVERYBODY, EVERYBODY),
    api("GET", "custom-fields/", EVERYBODY),
    api("GET", "custom-fields/{field}/", EVERYBODY, EVERYBODY),
    api("PATCH", "customers/{customer}/", "200:ASGMC 403:U", "200:ASGMC 403:U", note="likes tea"),
    api("GET", "customers/{customer}/context/", EVERYBODY, EVERYBODY),
    api("GET", "customers/{customer}/timeline/", EVERYBODY, EVERYBODY),
    api("GET", "customers/{customer}/suggestions/", EVERYBODY, EVERYBODY),
    api("GET", "customers/{customer}/merge/?other={double}", EVERYBODY, EVERYBODY),
    api("POST", "customers/{customer}/merge/", "201:ASG 403:MUC", other="{double}"),
    api("POST", "customers/{customer}/apart/", "204:ASG 403:MUC", other="{double}"),
    api("GET", "merges/", EVERYBODY, scope="customers:read"),
    api("GET", "merges/{merge}/", EVERYBODY, scope="customers:read"),
    api("POST", "merges/{merge}/undo/", "200:ASG 403:MUC", scope="customers:write"),
    api("GET", "customers/{customer}/erasure/", "200:A 403:SGMUC", "200:A 403:SGMUC"),
    api(
        "POST", "customers/{customer}/erasure/", "409:A 403:SGMUC", "409:A 403:SGMUC",
        way="erase", why="request", confirmation="unseen",
    ),
    api("POST", "customers/{customer}/holds/", "201:AS 403:GMUC", "201:AS 403:GMUC", reason="a law suit"),
    api("GET", "customers/{customer}/personal-data/", "200:A 403:SGMUC", "200:A 403:SGMUC"),
    api("POST", "customers/{customer}/personal-data/", "202:A 403:SGMUC", "202:A 403:SGMUC"),
    api("GET", "retention-policies/", EVERYBODY, scope="customers:read"),
    api("POST", "retention-policies/", "201:A 403:SGMUC", scope="customers:write", kind="imports", days=90),
    api("GET", "retention-policies/{policy}/", "200:ASU 404:GMC", scope="customers:read"),
    api("PATCH", "retention-policies/{policy}/", "200:A 403:SU 404:GMC", scope="customers:write", days=60),
    api("GET", "retention-policies/{policy}/dry-run/", "200:ASU 404:GMC", scope="customers:read"),
    api("POST", "customers/{customer}/verifications/", "201:ASGMC 403:U", "201:ASGMC 403:U", how="code"),
    # Nobody has verified them: who may is asked to do that first.
    api("GET", "customers/{customer}/restricted/", "409:AS 403:GMUC", "409:AS 403:GMUC"),
    api("PUT", "customers/{customer}/restricted/", "409:AS 403:GMUC", "409:AS 403:GMUC", fields={}),
    api("GET", "tickets/{ticket}/restricted/", "409:AS 403:GMUC", "409:A 403:UC 404:SGM"),
    api("PUT", "tickets/{ticket}/restricted/", "409:AS 403:GMUC", "409:A 403:UC 404:SGM", fields={}),
    api("POST", "messages/{message}/reveal/", "404:AS 403:GMUC", "404:ASGM 403:UC", reason="a refund"),
    api("GET", "erasures/", EVERYBODY, scope="customers:read"),
    api("GET", "erasures/{erasure}/", "200:ASU 404:GMC", scope="customers:read"),
    api("GET", "holds/", EVERYBODY, scope="customers:read"),
    api("GET", "holds/{hold}/", "200:ASU 404:GMC", scope="customers:read"),
    api("POST", "holds/{hold}/lift/", "200:AS 403:U 404:GMC", scope="customers:write"),
    api("GET", "merging/", EVERYBODY, scope="customers:read"),
    api("PUT", "merging/", "200:A 403:SGMUC", scope="customers:write", percent=99),
    api("GET", "pause-reasons/", EVERYBODY, scope="tickets:read"),
    api("GET", "pause-reasons/{pause_reason}/", EVERYBODY, scope="tickets:read"),
    api("GET", "identities/", EVERYBODY),
    api("GET", "identities/{identity}/", EVERYBODY, EVERYBODY),
    api("GET", "interactions/", EVERYBODY),
    api("GET", "interactions/{interaction}/", EVERYBODY, SEES_ALL),
    api("POST", "interactions/{interaction}/replies/", "201:ASGMC 403:U", "201:AC 403:U 404:SGM", text="Soon."),
    api("POST", "interactions/{interaction}/notes/", "201:ASGMC 403:U", "201:AC 403:U 404:SGM", text="Rings twice."),
    api("POST", "interactions/{interaction}/close/", "200:ASGC 403:MU", "200:AC 403:U 404:SGM", **SPEAKS),
    api("POST", "interactions/{closed}/reopen/", "200:ASGC 403:MU", "200:AC 403:U 404:SGM"),
    api("GET", "messages/", EVERYBODY),
    api("GET", "messages/{message}/", EVERYBODY, SEES_ALL),
    # What nobody in training wrote does not wait for anybody.
    api("POST", "messages/{message}/release/", "409:AS 403:GMUC", "409:A 403:UC 404:SGM"),
    api("POST", "messages/{message}/give-back/", "409:AS 403:GMUC", "409:A 403:UC 404:SGM", reason="warmer"),
    api("GET", "tickets/", EVERYBODY),
    api("GET", "tickets/{ticket}/", EVERYBODY, SEES_ALL),
    api("PATCH", "tickets/{ticket}/", "200:ASGC 403:MU", "200:AC 403:U 404:SGM", subject="Renamed"),
    api("POST", "tickets/", "201:ASGC 403:MU", customer="{customer}", brand="{brand}", subject="A letter"),
    api("GET", "tickets/{ticket}/clocks/", EVERYBODY, SEES_ALL),
    api("POST", "tickets/{ticket}/merge/", "200:ASGC 403:MU", "200:AC 403:U 404:SGM", other="{sibling}"),
    # Marketing sees tickets that were spoken of in public: these have no contact.
    api("POST", "tickets/{merged}/unmerge/", "200:ASGC 403:U 404:M", "200:AC 403:U 404:SGM"),
    api("POST", "tickets/{ticket}/split/", "201:ASGC 403:MU", "201:AC 403:U 404:SGM", message="{later}"),
    api("POST", "tickets/{ticket}/links/", "201:ASGC 403:MU", "201:AC 403:U 404:SGM", other="{sibling}", kind="related"),
    api("POST", "tickets/{linked}/unlink/", "204:ASGC 403:U 404:M", "204:AC 403:U 404:SGM", other="{sibling}"),
    api("POST", "tickets/{ticket}/snooze/", "200:ASGC 403:MU", "200:AC 403:U 404:SGM", until="2099-01-01T00:00:00Z"),
    api("POST", "tickets/{ticket}/wake/", "200:ASGC 403:MU", "200:AC 403:U 404:SGM"),
    api("POST", "tickets/{ticket}/solve-caused/", "200:ASGC 403:MU", "200:AC 403:U 404:SGM"),
    api("POST", "tickets/{ticket}/pause/", "204:ASGC 403:MU", "204:AC 403:U 404:SGM", reason="a spare part"),
    api("POST", "tickets/{ticket}/resume/", "204:ASGC 403:MU", "204:AC 403:U 404:SGM"),
    api("POST", "tickets/{ticket}/follow/", "204:ASGMUC", "204:AUC 404:SGM", on=True),
    api("POST", "tickets/{ticket}/checklist/", "201:ASGC 403:MU", "201:AC 403:U 404:SGM", text="Ring back"),
    api("POST", "tickets/{ticket}/check/", "200:ASGC 403:MU", "200:AC 403:U 404:SGM", item="{item}"),
    api("GET", "codes/", EVERYBODY),
    api("POST", "codes/", "201:A 403:SGMUC", kind="reason", code="late-parcel", label="Late parcel"),
    api("GET", "codes/{code}/", EVERYBODY),
    api("PATCH", "codes/{code}/", "200:A 403:SGMUC", label="Bills"),
    api("GET", "channels/", EVERYBODY),
    api("GET", "channels/{channel}/", EVERYBODY),
    api("POST", "channels/", "400:A 403:SGMUC", name="Care"),
    api("GET", "channels/{channel}/poll/", "200:ASUC 403:GM"),
    api("PUT", "channels/{channel}/poll/", "200:A 403:SGMUC", is_on=False),
    api("POST", "channels/{channel}/probe/", "400:A 403:SGMUC"),
    api("GET", "lists/{list}/", EVERYBODY, scope="tickets:read"),
    api("GET", "lists/{list}/choices/?column=owner", EVERYBODY, scope="tickets:read"),
    api("GET", "lists/{list}/counts/", EVERYBODY, scope="tickets:read"),
    api("GET", "views/", EVERYBODY),
    api("POST", "views/", "201:ASGMUC", noun="tickets", name="Angry ones", where=ANGRY),
    # A view that its agent shared with his team.
    api("GET", "views/{view}/", "200:SGM 404:AUC", "404:ASGMUC"),
    api("PATCH", "views/{view}/", "200:G 403:SM 404:AUC", "404:ASGMUC", name="Renamed"),
    api("POST", "views/{view}/remove/", "204:G 403:SM 404:AUC", "404:ASGMUC"),
    api("GET", "bulks/", EVERYBODY),
    api("POST", "bulks/", "201:ASGC 403:MU", noun="tickets", change={"kind": "task"}, filters={"status": ["new"]}),
    # An edit that the agent previewed, and one that he made.
    api("GET", "bulks/{bulk}/", "200:AGUC 404:SM", SEES_ALL),
    api("GET", "bulks/{bulk}/rows/", "200:AGUC 404:SM", SEES_ALL),
    api("POST", "bulks/{bulk}/start/", "200:G 404:ASMUC", "404:ASGMUC"),
    api("POST", "bulks/{edit}/undo/", "200:AGC 403:U 404:SM", "200:AC 403:U 404:SGM"),
    api("GET", "deliveries/", EVERYBODY),
    api("GET", "deliveries/{delivery}/", "200:ASUC 404:GM"),
    api("POST", "deliveries/{delivery}/replay/", "200:AS 403:UC 404:GM"),
    api("GET", "interactions/{interaction}/callable/", EVERYBODY, SEES_ALL),
    api("GET", "macros/", EVERYBODY),
    api("POST", "macros/", "201:AS 403:GMUC", name="Hello", text="Hi {{{{customer.name|there}}}}"),
    api("GET", "macros/variables/", EVERYBODY),
    api("POST", "macros/try/", "200:ASGMC 403:U", text="Hi"),
    api("GET", "macros/{macro}/", EVERYBODY, SEES_ALL),
    api("PATCH", "macros/{macro}/", "200:AS 403:GMUC", "200:A 403:UC 404:SGM", name="Hello again"),
    api("GET", "macros/{macro}/versions/", EVERYBODY, SEES_ALL),
    api("POST", "macros/{macro}/back/", "200:AS 403:GMUC", "200:A 403:UC 404:SGM", version=1),
    api("POST", "macros/{macro}/preview/", EVERYBODY, SEES_ALL, interaction="{interaction}"),
    api(
        "POST", "macros/{macro}/use/", "201:ASGMC 403:U", "201:AC 403:U 404:SGM",
        interaction="{interaction}", version=1, text="Hi",
    ),
    api("GET", "imports/", EVERYBODY),
    api("POST", "imports/", "400:AS 403:GMUC"),  # a file comes as a form: tests/crm/test_imports_api.py
    api("GET", "imports/{import}/", "200:AS 404:GMUC"),
    api("PATCH", "imports/{import}/", "200:AS 404:GMUC", region="DE"),
    api("GET", "imports/{import}/targets/", "200:AS 404:GMUC"),
    api("GET", "imports/{import}/rows/", "200:AS 404:GMUC"),
    api("POST", "imports/{import}/check/", "202:AS 404:GMUC"),
    api("POST", "imports/{import}/start/", "202:AS 404:GMUC"),
    api("POST", "imports/{import}/undo/", "409:AS 404:GMUC"),  # nothing is read in yet
    api("GET", "exports/", EVERYBODY),
    api("POST", "exports/", "201:ASU 403:GMC", noun="tickets", format="csv"),
    api("GET", "exports/{export}/", "200:A 404:SGMUC"),  # the administrator asked for it
    api("GET", "exports/{export}/file/", "200:A 404:SGMUC"),
    api("GET", "notices/", EVERYBODY),
    api("GET", "notices/{notice}/", "200:A 404:SGMUC"),  # one's own alone
    api("POST", "notices/{notice}/read/", "200:A 404:SGMUC"),
    api("POST", "notices/read/", EVERYBODY),
    api("GET", "teams/", EVERYBODY),
    api("GET", "teams/{team}/", EVERYBODY, SEES_ALL),
    api("GET", "users/", EVERYBODY),
    api("GET", "users/{user}/", EVERYBODY, SEES_ALL),
    api("PATCH", "users/{user}/", "200:A 403:SGMUC", "200:A 403:UC 404:SGM", role="agent"),
    api("GET", "right-sets/", EVERYBODY, scope="rights:read"),
    api("POST", "right-sets/", "201:A 403:SGMUC", scope="rights:write", name="Exporters", rights=["export"]),
    api("GET", "right-sets/{right_set}/", "200:A 404:SGMUC", scope="rights:read"),
    api("PATCH", "right-sets/{right_set}/", "200:A 404:SGMUC", scope="rights:write", note="for the year's end"),
    api("GET", "grants/", EVERYBODY, scope="rights:read"),
    api(
        "POST", "grants/", "201:A 403:SGMUC", "201:A 403:SGMUC", scope="rights:write",
        user="{user}", right_set="{right_set}", scope_="everywhere",
    ),
    api("GET", "grants/{grant}/", "200:A 404:SGMUC", scope="rights:read"),
    api("POST", "grants/{grant}/take/", "200:A 404:SGMUC", scope="rights:write"),
    api("GET", "events/", "200:AUC 404:SGM", scope="events:read"),
    api("GET", "search/", EVERYBODY, scope="customers:read tickets:read messages:read"),
    api("GET", "desk/", "200:ASG 403:MUC", scope="desk"),
    api("GET", "queues/", EVERYBODY),
    api("GET", "queues/{queue}/", EVERYBODY),
    api("POST", "queues/", "201:A 403:SGMUC", slug="night", name="Night", team="{team_slug}", reason="we work at night"),
    api("GET", "queues/{queue}/wait/?family=voice", EVERYBODY),
    # Its team's lead too, and no other's.
    api("PATCH", "queues/{queue}/", "200:AS 403:GMUC", "200:A 403:SGMUC", goal=0.8, reason="fewer people"),
    api("POST", "queues/{queue}/preview/", "200:AS 403:GMUC", "200:A 403:SGMUC", ordering="oldest"),
    # Nothing waits there that is fetched.
    api("POST", "queues/{queue}/next/", "409:ASG 403:MUC", scope="queues:write desk"),
    api("GET", "simulations/", EVERYBODY),
    api("POST", "simulations/", "201:AS 403:GMUC", day={"kind": "synthetic", "size": 0.02}),
    api("GET", "simulations/{simulation}/", "200:AS 404:GMUC"),
    api("GET", "scoring/", EVERYBODY, scope="queues:read"),
    api("PATCH", "scoring/", "200:A 403:SGMUC", scope="queues:write", urgency=0.4, reason="a hard winter"),
    api("POST", "scoring/preview/", "200:A 403:SGMUC", scope="queues:write", urgency=0.4),
    api("GET", "fairness/", "200:ASMU 403:GC", scope="queues:read"),
    api("GET", "skills/", EVERYBODY),
    api("POST", "skills/", "201:A 403:SGMUC", code="danish", name="Danish"),
    api("GET", "skills/{skill}/", EVERYBODY),
    api("PATCH", "skills/{skill}/", "200:A 403:SGMUC", name="Otherwise"),
    api("PUT", "agents/{agent}/skills/", "200:A 403:SGMUC", "200:A 403:SGMUC", skills=[]),
    api("GET", "agents/", EVERYBODY),
    api("GET", "agents/{agent}/", EVERYBODY, SEES_ALL),
    api("GET", "agents/{agent}/idle/", EVERYBODY, SEES_ALL),
    # Only who takes work has an answer.
    api("GET", "agents/{me}/idle/", "200:ASG 404:MUC", scope="agents:read desk"),
    api("PUT", "agents/{agent}/presence/", "200:AS 403:GMUC", "200:A 403:GMUC 404:S", state="break"),
    api("PUT", "agents/{me}/presence/", "200:ASG 403:MUC", scope="agents:write desk", state="break"),
    api("GET", "handover/", "200:ASG 403:MUC", scope="desk"),
    api("POST", "agents/{agent}/train/", "200:AS 403:GMUC", "200:A 403:GMUC 404:S", goal=60, days=30),
    api("PUT", "agents/{agent}/training/", "200:AS 403:GMUC", "200:A 403:GMUC 404:S", coach=None),
    api("PUT", "agents/{agent}/limits/", "200:AS 403:GMUC", "200:A 403:GMUC 404:S", chat=2),
    api("GET", "hands/", EVERYBODY, scope="agents:read desk"),
    api("POST", "hands/", "201:AS 403:MUC 409:G", scope="agents:write desk", reason="how_to"),  # the agent's is up
    api("GET", "hands/topics/", EVERYBODY, scope="agents:read desk"),
    api("GET", "hands/{hand}/", "200:ASG 404:MUC", "200:A 404:SGMUC", scope="agents:read desk"),
    api("POST", "hands/{hand}/take/", "200:AS 403:G 404:MUC", "200:A 404:SGMUC", scope="agents:write desk"),
    api("POST", "hands/{hand}/lower/", "200:ASG 404:MUC", "200:A 404:SGMUC", scope="agents:write desk"),
    api("GET", "presence-reasons/", EVERYBODY, scope="agents:read"),
    api(
        "POST", "presence-reasons/", "201:A 403:SGMUC", scope="agents:write", slug="blood-donation", name="Blood donation",
        state="meeting",
    ),
    api("GET", "presence-reasons/{presence_reason}/", EVERYBODY, scope="agents:read"),
    api("PATCH", "presence-reasons/{presence_reason}/", "200:A 403:SGMUC", scope="agents:write", limit_minutes=20),
    api("GET", "scheduled-times/", EVERYBODY, scope="agents:read"),
    api(
        "POST", "scheduled-times/", "201:AS 403:GMUC", "201:A 400:S 403:GMUC", scope="agents:write", agent="{agent}", kind="meal",
        starts_at="2099-01-01T12:00:00Z", ends_at="2099-01-01T12:30:00Z",
    ),
    api("GET", "scheduled-times/{scheduled}/", EVERYBODY, SEES_ALL, scope="agents:read"),
    api(
        "POST", "scheduled-times/{scheduled}/remove/", "204:AS 403:GMUC", "204:A 403:UC 404:SGM", scope="agents:write"
    ),
    api("GET", "work-items/", EVERYBODY, scope="work-items:read desk"),
    api("GET", "work-items/orphans/", EVERYBODY, scope="work-items:read desk"),
    api("GET", "work-items/{held}/", EVERYBODY, SEES_ALL, scope="work-items:read desk"),
    api("GET", "work-items/{held}/explanation/", EVERYBODY, SEES_ALL, scope="work-items:read desk"),
    api(
        "POST", "work-items/{waiting}/claim/", "201:ASG 403:MUC", "201:A 403:UC 404:SGM", scope="work-items:write desk"
    ),
    api(
        "POST", "work-items/{held}/transfer/", "204:ASG 403:MUC", "204:A 403:UC 404:SGM",
        scope="work-items:write desk", queue="{queue}",
    ),
    api(
        "POST", "work-items/{held}/complete/", "200:ASG 403:MUC", "200:A 403:UC 404:SGM",
        scope="work-items:write desk", **SPEAKS,
    ),
    api(
        "POST", "work-items/{held}/whisper/", "204:AS 403:GMUC", "204:A 403:UC 404:SGM", scope="work-items:write desk",
        text="Offer a refund.",
    ),
    api(
        "POST", "work-items/{held}/take-over/", "200:AS 403:GMUC", "200:A 403:UC 404:SGM", scope="work-items:write desk"
    ),
    api(
        "POST", "work-items/{held}/park/", "200:G 409:AS 403:MUC", "409:A 403:UC 404:SGM", scope="work-items:write desk",
        until="2099-01-01T12:00:00Z",
    ),
    api(
        "POST", "work-items/{held}/take-up/", "409:ASG 403:MUC", "409:A 403:UC 404:SGM", scope="work-items:write desk"
    ),
    # Only who holds it asks somebody in; the lead is asked already.
    api(
        "POST", "work-items/{held}/ask-in/", "201:G 409:AS 403:MUC", "409:A 403:UC 404:SGM", scope="work-items:write desk",
        agent="{colleague}", kind="consult",
    ),
    api(
        "POST", "work-items/{held}/join/", "201:A 409:S 403:GMUC", "201:A 403:UC 404:SGM", scope="work-items:write desk"
    ),
    api(
        "POST", "work-items/{held}/hand-back/", "409:ASG 403:MUC", "409:A 403:UC 404:SGM", scope="work-items:write desk"
    ),
    api("GET", "work-items/{held}/wait/", EVERYBODY, SEES_ALL, scope="work-items:read desk"),
    # What is no call is not called back.
    api(
        "POST", "work-items/{waiting}/callback/", "409:ASGMC 403:U", "409:AC 403:U 404:SGM", scope="work-items:write desk"
    ),
    api(
        "POST", "work-items/{held}/not-reached/", "409:ASG 403:MUC", "409:A 403:UC 404:SGM", scope="work-items:write desk"
    ),
    api("GET", "joinings/", EVERYBODY, scope="work-items:read desk"),
    api("GET", "joinings/{joining}/", EVERYBODY, SEES_ALL, scope="work-items:read desk"),
    # A request is for who was asked; who holds the work, or leads, may end it.
    api(
        "POST", "joinings/{joining}/accept/", "200:S 403:MUC 404:AG", "403:UC 404:ASGM", scope="work-items:write desk"
    ),
    api(
        "POST", "joinings/{joining}/decline/", "200:S 403:MUC 404:AG", "403:UC 404:ASGM", scope="work-items:write desk",
        reason="busy",
    ),
    api(
        "POST", "joinings/{joining}/take-over/", "409:S 403:MUC 404:AG", "403:UC 404:ASGM", scope="work-items:write desk"
    ),
    api(
        "POST", "joinings/{joining}/end/", "200:ASG 403:MUC", "200:A 403:UC 404:SGM", scope="work-items:write desk"
    ),
    api("GET", "work-items/{held}/codes/", EVERYBODY, SEES_ALL, scope="work-items:read desk"),
    # Deferred work has no time for wrap-up.
    api(
        "POST", "work-items/{held}/wrap-up/", "409:ASG 403:MUC", "409:A 403:UC 404:SGM", scope="work-items:write desk"
    ),
    api("GET", "offers/", EVERYBODY, scope="offers:read desk"),
    api("GET", "offers/{offer}/", "200:ASGUC 404:M", SEES_ALL, scope="offers:read desk"),
    # An offer is the agent's to take, whatever others may see of it.
    api("POST", "offers/{offer}/accept/", "200:G 403:MUC 404:AS", "403:MUC 404:ASG", scope="offers:write desk"),
    api(
        "POST", "offers/{offer}/decline/", "204:G 403:MUC 404:AS", "403:MUC 404:ASG",
        scope="offers:write desk", reason="busy",
    ),
    api("GET", "assignments/", EVERYBODY),
    api("GET", "assignments/{assignment}/", "200:ASGUC 404:M", SEES_ALL),
    api("GET", "mentions/", EVERYBODY),
    api("GET", "mentions/{mention}/", EVERYBODY),
    api("POST", "mentions/{mention}/verdict/", "200:ASGM 403:UC", verdict="follow"),
    api("PATCH", "mentions/{mention}/triage/", "200:ASGM 403:UC", scope="mentions:write", topic="price"),
    api("GET", "boards/", "200:ASMU 403:GC"),
    api("GET", "boards/{board}/", "200:ASMU 403:GC"),
]  # fmt: skip

PAGES = [
    page("GET", "/", "302:ASGMUC"),
    page("GET", "/search/", EVERYBODY),
    page("GET", "/help/keys/", EVERYBODY),
    page("GET", "/customers/", EVERYBODY),
    page("GET", "/customers/{customer}/", EVERYBODY, EVERYBODY),
    page("GET", "/customers/{customer}/card/", EVERYBODY, EVERYBODY),
    page("GET", "/customers/{customer}/merge/?other={double}", "200:ASG 403:MUC"),
    page("POST", "/customers/{customer}/merge/", "302:ASG 403:MUC", other="{double}"),
    page("POST", "/merges/{merge}/undo/", "302:ASG 403:MUC"),
    page("GET", "/customers/{customer}/privacy/", "200:ASU 403:GMC", "200:ASU 403:GMC"),
    page(
        "POST",
        "/customers/{customer}/privacy/",
        "302:ASU 403:GMC",
        "302:ASU 403:GMC",
        act="hold",
        reason="a law suit",
    ),
    page("GET", "/customers/{customer}/disclosure/", "200:ASGMC 403:U", "200:ASGMC 403:U"),
    page("POST", "/customers/{customer}/disclosure/", "302:ASGMC 403:U", "302:ASGMC 403:U", how="code"),
    page("GET", "/people/", "200:A 403:SGMUC"),
    page("GET", "/people/{user}/", "200:A 403:SGMUC", "200:A 403:SGMUC"),
    page(
        "POST",
        "/people/{user}/",
        "302:A 403:SGMUC",
        "302:A 403:SGMUC",
        act="give",
        set="{right_set}",
        scope="everywhere",
    ),
    page("GET", "/rights/", "200:A 403:SGMUC"),
    page("GET", "/rights/new/", "200:A 403:SGMUC"),
    page("POST", "/rights/new/", "302:A 403:SGMUC", name="Exporters", rights="export"),
    page("GET", "/rights/{right_set}/", "200:A 403:SGMUC"),
    page("POST", "/rights/{right_set}/", "302:A 403:SGMUC", name="Importers", rights="import"),
    page("POST", "/viewing/", "302:A 403:SGMUC", role="agent"),
    page("POST", "/viewing/end/", "302:ASGMUC"),  # who does not look as another is simply at home
    page("GET", "/messages/{message}/files/{place}/", "404:ASGMUC", "404:ASGMUC"),  # it came without files
    page("GET", "/messages/{message}/reveal/", "200:AS 403:GMUC", "200:A 403:GMUC 404:S"),
    page("POST", "/messages/{message}/reveal/", "404:AS 403:GMUC", "404:AS 403:GMUC", reason="a refund"),
    page("GET", "/companies/{company}/", EVERYBODY, EVERYBODY),
    page("GET", "/companies/{company}/restricted/", "200:AS 403:GMUC", "200:AS 403:GMUC"),
    page("POST", "/companies/{company}/restricted/", "302:AS 403:GMUC", "302:AS 403:GMUC"),
    page("GET", "/tickets/{ticket}/restricted/", "200:AS 403:GMUC", "200:A 403:GMUC 404:S"),
    page("POST", "/tickets/{ticket}/restricted/", "302:AS 403:GMUC", "302:A 403:GMUC 404:S"),
    page("GET", "/channels/", "200:ASUC 403:GM"),
    page("GET", "/channels/mailbox/", "200:A 403:SGMUC"),
    page("POST", "/channels/mailbox/", "400:A 403:SGMUC", name="Care"),
    page("GET", "/channels/{channel}/", "200:ASUC 403:GM", "200:ASUC 403:GM"),
    page("POST", "/channels/{channel}/", "302:A 403:SGMUC", "302:A 403:SGMUC", act="off"),
    page("GET", "/merging/", EVERYBODY),
    page("POST", "/merging/", "302:A 403:SGMUC", percent="99"),
    page("GET", "/privacy/", "200:ASU 403:GMC"),
    page("POST", "/privacy/", "302:ASU 403:GMC", policy="{policy}", days="30"),
    page("GET", "/companies/", EVERYBODY),
    page("GET", "/bulks/", EVERYBODY),
    page("GET", "/bulks/{bulk}/", "200:AGUC 404:SM", SEES_ALL),
    page("POST", "/bulks/{bulk}/", "302:G 404:ASMUC", "404:ASGMUC", act="start"),
    page("GET", "/tickets/", EVERYBODY),
    page("GET", "/tickets/{ticket}/", EVERYBODY, SEES_ALL),
    page("GET", "/interactions/{interaction}/", EVERYBODY, SEES_ALL),
    page("GET", "/interactions/{interaction}/thread/", EVERYBODY, SEES_ALL),
    page("GET", "/interactions/{interaction}/messages/{message}/", EVERYBODY, SEES_ALL),
    page("GET", "/macros/", EVERYBODY),
    page("GET", "/macros/new/", "200:ASGMC 403:U"),
    page("POST", "/macros/new/", "302:ASGMC 403:U", name="Mine", text="Hi", reach="own"),
    page("GET", "/macros/{macro}/", EVERYBODY, SEES_ALL),
    page("POST", "/macros/{macro}/", "302:AS 403:GMUC", "302:A 403:UC 404:SGM", act="retire"),
    page("GET", "/notices/", EVERYBODY),
    page("POST", "/notices/", "302:ASGMUC"),
    page("POST", "/notices/{notice}/", "302:A 404:SGMUC"),
    page("GET", "/imports/", "200:AS 403:GMUC"),
    page("POST", "/imports/", "302:AS 403:GMUC"),
    page("GET", "/imports/{import}/", "200:AS 403:GMUC"),
    page("POST", "/imports/{import}/", "302:AS 403:GMUC", act="check"),
    page("GET", "/exports/", "200:ASU 403:GMC"),
    page("POST", "/exports/", "200:ASU 403:GMC", noun="tickets", format="csv"),
    page("GET", "/exports/{export}/file/", "200:A 404:SU 403:GMC"),  # the administrator asked for it
    page("GET", "/deliveries/", "200:ASUC 403:GM"),
    page("POST", "/deliveries/{delivery}/replay/", "302:AS 403:GMUC"),
    page("GET", "/desk/", "200:ASG 403:MUC"),
    page("GET", "/handover/", "200:ASG 403:MUC"),
    page("GET", "/queues/", EVERYBODY),
    page("GET", "/simulator/", "200:AS 403:GMUC"),
    page("POST", "/simulator/", "302:AS 403:GMUC", kind="synthetic", scenario="normal", centre="reference"),
    page("GET", "/simulator/{simulation}/", "200:AS 403:GMUC"),
    page("GET", "/agents/me/idle/", "200:ASG 404:MUC"),
    page("GET", "/agents/{agent}/idle/", EVERYBODY, SEES_ALL),
    page("GET", "/fairness/", "200:ASMU 403:GC"),
    page("GET", "/scoring/", EVERYBODY),
    page("POST", "/scoring/", "302:A 403:SGMUC", urgency="0.5", reason="a hard winter", act="keep"),
    page("GET", "/queues/new/", "200:A 403:SGMUC"),
    page(
        "POST",
        "/queues/new/",
        "302:A 403:SGMUC",
        name="Day",
        slug="day",
        team="{team_slug}",
        reason="we work by day",
    ),
    page("GET", "/queues/{queue}/", EVERYBODY, SEES_ALL),
    page(
        "POST", "/queues/{queue}/take/", "409:ASG 403:MUC", "409:A 403:MUC 404:SG"
    ),  # nothing is fetched there
    page(
        "POST",
        "/queues/{queue}/",
        "302:AS 403:GMUC",
        "302:A 403:UC 404:SGM",
        goal="80",
        reason="fewer people",
    ),
    page("GET", "/mentions/", EVERYBODY),
    page("GET", "/boards/{board}/", "200:ASMU 403:GC"),
    page("POST", "/demo/play/", "302:AS 403:GMUC"),
    page("POST", "/demo/colleagues/", "302:AS 403:GMUC", on="0"),
]

# Documents of the interface: for everybody who can reach the server.
OPEN = [
    Door("GET", "/api/v1/schema/", EVERYBODY, login=200),
    Door("GET", "/api/v1/docs/", EVERYBODY, login=200),
    Door(
        "GET", "/metrics", EVERYBODY, login=200
    ),  # from this machine; from elsewhere: tests/reports/test_vitals.py
]

# What allauth serves: login, logout, and one's own address and password. (Path, methods, with a login, without.)
ACCOUNTS = [
    Door("GET", "/accounts/login/", "302:ASGMUC", login=200),
    Door("POST", "/accounts/login/", "302:ASGMUC", login=200),
    Door("GET", "/accounts/logout/", EVERYBODY, login=302),
    Door("POST", "/accounts/logout/", "302:ASGMUC", login=302),
    Door("GET", "/accounts/inactive/", EVERYBODY, login=200),
    Door("GET", "/accounts/signup/", "302:ASGMUC", login=200),  # closed: says so
    Door("POST", "/accounts/signup/", "302:ASGMUC", login=200),
    Door("GET", "/accounts/reauthenticate/", EVERYBODY, login=302),
    Door("POST", "/accounts/reauthenticate/", EVERYBODY, login=302),
    Door("GET", "/accounts/email/", EVERYBODY, login=302),
    Door("POST", "/accounts/email/", "302:ASGMUC", login=302),
    Door("GET", "/accounts/confirm-email/", EVERYBODY, login=200),
    Door("GET", "/accounts/confirm-email/{nothing}/", EVERYBODY, login=200),
    Door("POST", "/accounts/confirm-email/{nothing}/", "404:ASGMUC", login=404),
    Door("GET", "/accounts/password/change/", EVERYBODY, login=302),
    Door("POST", "/accounts/password/change/", EVERYBODY, login=302),
    Door("GET", "/accounts/password/set/", "302:ASGMUC", login=302),
    Door("POST", "/accounts/password/set/", "302:ASGMUC", login=302),
    Door("GET", "/accounts/password/reset/", EVERYBODY, login=200),
    Door("POST", "/accounts/password/reset/", EVERYBODY, login=200),
    Door("GET", "/accounts/password/reset/done/", EVERYBODY, login=200),
    Door("GET", "/accounts/password/reset/key/{nothing}-{nothing}/", EVERYBODY, login=200),
    Door("POST", "/accounts/password/reset/key/{nothing}-{nothing}/", EVERYBODY, login=200),
    Door("GET", "/accounts/password/reset/key/done/", EVERYBODY, login=200),
    Door("GET", "/accounts/login/code/confirm/", "302:ASGMUC", login=302),
    Door("POST", "/accounts/login/code/confirm/", "302:ASGMUC", login=302),
]

# The admin is one entry: administrators only, whatever flags of Django's a user has; all others are led to the login.
ADMIN = "/admin/"

# Answers for any address: the plain doors in front of Django. Callers: C with the scope, c with another, A, G, a channel's
# signature (=), the signature of another channel (~), nobody (-).
PLAIN = {
    "POST /api/v1/deliveries/<slug>/": "202:CA= 401:cG~-",
    "GET /health/live": "200:CAcG=~-",
    "GET /health/ready": "200:CAcG=~-",
}

# Sockets answer with a first snapshot, or close with a code. `scope` as above.
SOCKETS = [
    Door("WS", "/ws/desk/", "snapshot:ASG 4403:MUC", scope="desk"),
    Door(
        "WS",
        "/ws/interactions/{interaction}/",
        "snapshot:ASGMUC",
        "snapshot:AUC 4403:SGM",
        scope="interactions:read",
    ),
    Door("WS", "/ws/notices/", "snapshot:ASGMUC", scope="notices:read"),
    Door("WS", "/ws/events/", "snapshot:AUC 4403:SGM", scope="events:read"),
    Door("WS", "/ws/boards/{board}/", "snapshot:ASMU 4403:GC", scope="boards:read"),
]

HTTP = [*REST, *PAGES, *OPEN, *ACCOUNTS]


def cell(text: str) -> dict[str, str]:
    """`200:AS 403:G` as role letter to answer."""
    pairs = (part.split(":") for part in text.split())
    return {letter: answer for answer, letters in pairs for letter in letters}


# What an agent gets at the things of a team in which he was given the agents' set, where it is not what their own agent gets:
# what is shared among members, what somebody made himself, and what another one holds or was offered.
WITHIN_SCOPE = {
    **dict.fromkeys(
        (
            "GET /api/v1/views/{view}/", "PATCH /api/v1/views/{view}/", "POST /api/v1/views/{view}/remove/",
            "GET /api/v1/bulks/{bulk}/", "GET /api/v1/bulks/{bulk}/rows/", "POST /api/v1/bulks/{bulk}/start/",
            "POST /api/v1/bulks/{edit}/undo/", "GET /api/v1/offers/{offer}/", "POST /api/v1/offers/{offer}/accept/",
            "POST /api/v1/offers/{offer}/decline/", "GET /api/v1/assignments/{assignment}/", "GET /bulks/{bulk}/",
            "POST /bulks/{bulk}/",
        ),
        "404",
    ),
    "POST /api/v1/work-items/{held}/transfer/": "409",
    "POST /api/v1/work-items/{held}/complete/": "409",
    "POST /api/v1/work-items/{held}/park/": "409",
    "POST /api/v1/work-items/{held}/ask-in/": "409",
    "POST /api/v1/joinings/{joining}/end/": "404",
    "GET /api/v1/hands/{hand}/": "404",
    "POST /api/v1/hands/{hand}/take/": "404",
    "POST /api/v1/hands/{hand}/lower/": "404",
}  # fmt: skip
