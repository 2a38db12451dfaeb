"""Clients of other makers, pointed at a running platform; each mode prints what it got as one JSON object.

    formats_client.py huggingface BASE      huggingface_hub's HfApi with our address as its endpoint
    formats_client.py mcp URL MODE          the official client of the Model Context Protocol; MODE is legacy or auto
    formats_client.py feed                  reads a feed from standard input with feedparser
"""

import asyncio
import dataclasses
import json
import os
import sys

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"


def shown(paper):
    return {
        "id": paper.id,
        "title": paper.title,
        "summary": paper.summary,
        "authors": [author.name for author in paper.authors or []],
        "published_at": paper.published_at and paper.published_at.isoformat(),
        "submitted_by": paper.submitted_by and paper.submitted_by.username,
        "upvotes": paper.upvotes,
    }


def huggingface(base):
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(endpoint=base, token=False)

    def refusal(call):
        try:
            list(call())
        except HfHubHTTPError as error:
            return {"status": error.response.status_code, "text": str(error)}
        return None

    daily = lambda **asked: [shown(paper) for paper in api.list_daily_papers(token=False, **asked)]
    return {
        "search": [shown(paper) for paper in api.list_papers(query="owls", limit=2, token=False)],
        "paper": shown(api.paper_info("2402.14776")),
        "canonical": shown(api.paper_info("formats:2")),
        "text": api.read_paper("2402.14776"),
        "daily": daily(),
        "day": daily(date="2024-02-22"),
        "week": daily(week="2024-W08"),
        "month": daily(month="2024-02", sort="publishedAt"),
        "trending": daily(sort="trending", limit=1),
        "second": daily(p=1, limit=1),
        "submitter": daily(submitter="nobody"),
        "unknown": refusal(lambda: [api.paper_info("2402.99999")]),
        "wrong_day": refusal(lambda: api.list_daily_papers(date="2024-02-31", token=False)),
        "wrong_limit": refusal(lambda: api.list_papers(query="owls", limit=1000, token=False)),
    }


async def mcp(url, mode):
    from mcp import Client

    async with Client(url, mode=mode) as client:

        async def call(name, **arguments):
            result = await client.call_tool(name, arguments)
            return {
                "error": bool(result.is_error),
                "text": result.content[0].text,
                "data": result.structured_content,
            }

        tools = (await client.list_tools()).tools
        found = await call("search_papers", query="owls", limit=1)
        further = await call("search_papers", query="owls", limit=1, cursor=found["data"]["next_cursor"])
        return {
            "version": client.protocol_version,
            "server": client.server_info.name,
            "instructions": client.instructions,
            "tools": {tool.name: tool.annotations.read_only_hint for tool in tools},
            "found": found,
            "further": further,
            "paper": await call("get_paper", id="2402.14776"),
            "similar": await call("similar_papers", ids=["2402.14776"]),
            "trending": await call("trending_papers", window="week"),
            "unknown_paper": await call("get_paper", id="2402.99999"),
            "wrong_argument": await call("search_papers", query="owls", colour="red"),
            "wrong_limit": await call("trending_papers", limit=1000),
        }


def feed():
    import feedparser

    parsed = feedparser.parse(sys.stdin.buffer.read())
    entries = [
        {
            "id": entry.id,
            "title": entry.title,
            "updated": entry.updated,
            "summary": entry.summary,
            "content": entry.content[0].value,
            "authors": [author.name for author in entry.get("authors", [])],
            "links": {link.rel: link.href for link in entry.links},
        }
        for entry in parsed.entries
    ]
    return {
        "wrong": repr(parsed.get("bozo_exception")) if parsed.bozo else None,
        "version": parsed.version,
        "title": parsed.feed.title,
        "id": parsed.feed.id,
        "updated": parsed.feed.updated,
        "links": [{"rel": link.rel, "type": link.type, "href": link.href} for link in parsed.feed.links],
        "entries": entries,
    }


if __name__ == "__main__":
    if sys.argv[1] == "huggingface":
        said = huggingface(sys.argv[2])
    elif sys.argv[1] == "mcp":
        said = asyncio.run(mcp(sys.argv[2], sys.argv[3]))
    else:
        said = feed()
    print(json.dumps(said, default=lambda one: dataclasses.asdict(one) if dataclasses.is_dataclass(one) else str(one)))
