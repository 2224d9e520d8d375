"""The monitors that were put away: the overview with `state=archived`."""

from starlette.responses import Response

from luota.store import overview as rows
from luota.web.dashboard.filters import Filters, unknown
from luota.web.dashboard.visit import Visit

PAGE = 50


async def archived(visit: Visit, filters: Filters) -> Response:
    """Show those that the other filters let through, the latest first; each leads to its page, where its history is."""
    kept = await rows.archived(visit.reader, visit.workspace.id)
    fitting = [(card, at) for card, at in kept if filters.fit(card)]
    number = min(visit.page_number(), max(1, -(-len(fitting) // PAGE)))
    end = number * PAGE

    def page(number: int) -> str:
        return filters.address(visit.path(), page=str(number) if number > 1 else "")

    return await visit.html(
        "archived.html",
        cards=[
            {
                "id": card.id,
                "name": card.name,
                "path": visit.path("monitors", card.id),
                "promise": card.promise,
                "owner": card.owner,
                "environment": card.environment,
                "tags": [f"{key}={value}" for key, value in card.tags.items()],
                "at": at,
            }
            for card, at in fitting[end - PAGE : end]
        ],
        found=len(fitting),
        total=len(kept),
        filters=filters,
        all_path=filters.address(visit.path(), state="archived", q="", mode="", tag="", environment="", group=""),
        unknown=unknown(visit),
        earlier_path=page(number - 1) if number > 1 else None,
        earlier_count=PAGE,
        more_path=page(number + 1) if len(fitting) > end else None,
        more_count=min(PAGE, len(fitting) - end),
    )
