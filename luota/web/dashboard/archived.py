"""The monitors that were put away: the overview with `state=archived`."""

from starlette.responses import Response

from luota.store import overview as rows
from luota.web.dashboard.filters import Filters, unknown
from luota.web.dashboard.visit import Visit


async def archived(visit: Visit, filters: Filters) -> Response:
    """Show those that the other filters let through, the latest first; each leads to its page, where its history is."""
    kept = await rows.archived(visit.reader, visit.workspace.id)
    return await visit.html(
        "archived.html",
        cards=[
            {
                "name": card.name,
                "path": visit.path("monitors", card.id),
                "promise": card.promise,
                "owner": card.owner,
                "environment": card.environment,
                "tags": [f"{key}={value}" for key, value in card.tags.items()],
                "at": at,
            }
            for card, at in kept
            if filters.fit(card)
        ],
        total=len(kept),
        all_path=filters.address(visit.path(), state="archived", q="", mode="", tag="", environment="", group=""),
        unknown=unknown(visit),
    )
