"""The OpenAPI 3.1 description of both APIs, made of the route tables and of the limits in core/spec."""

import re
from typing import Any

from luota.core.drills import DrillKind
from luota.core.model import Kind, Mode
from luota.core.roles import ROLES
from luota.core.spec import ingest, monitors
from luota.core.spec.audit import KINDS, MOST_LISTED
from luota.core.spec.channels import SETTINGS as CHANNEL_TYPES
from luota.core.spec.incidents import MAX_NOTE, MAX_REASON, STATES
from luota.core.spec.people import LEAST_PASSWORD, MAX_PASSWORD, RETENTION
from luota.core.spec.places import MOST_SIGNALS
from luota.core.spec.values import MAX_SLUG, MAX_TAG_KEY, MAX_TAG_VALUE, MAX_TAGS, MAX_URL
from luota.web.api import ROUTES

Schema = dict[str, Any]


def document(version: str) -> dict[str, Any]:
    """Return the description as a JSON document; `version` is the program's."""
    paths: dict[str, Schema] = {}
    for path, (name, summary, body, reply) in INGEST.items():
        paths[path] = {"post": _ingest(path, name, summary, body, reply)}
    for method, path, role, handler in ROUTES:
        name = f"{handler.__module__.rpartition('.')[2]}.{handler.__name__}"
        summary = (handler.__doc__ or "").strip().partition("\n")[0]
        paths.setdefault(path, {})[method.lower()] = _operator(method, path, role, name, summary)
    paths["/healthz"] = {
        "get": {
            "operationId": "healthz",
            "summary": "Tell whether deadlines are judged and writes reach the disk.",
            "security": [],
            "responses": {"200": _answer("All is well.", {}), "503": _answer("It is not; `error` says why.", {})},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Luota", "version": version},
        "paths": paths,
        "components": {
            "schemas": {"Error": _object({"error": _TEXT, "message": _TEXT, "field": _TEXT}, "error")},
            "securitySchemes": {
                "ingestKey": {"type": "apiKey", "in": "header", "name": "x-luota-key"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-luota"},
                "csrfToken": {"type": "apiKey", "in": "header", "name": "x-csrf-token"},
            },
        },
    }


_TEXT: Schema = {"type": "string"}
_ID: Schema = {"type": "string", "format": "uuid"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_DURATION: Schema = {"description": 'seconds, or a text such as "5m"', "type": ["integer", "string"]}
_SWITCH: Schema = {"type": "boolean"}


def _text(longest: int, shortest: int = 0) -> Schema:
    return {"type": "string", "maxLength": longest, **({"minLength": shortest} if shortest else {})}


def _object(properties: dict[str, Schema], *required: str) -> Schema:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


_LABELS = {key: _text(ingest.MAX_LABEL) for key in ("deploySha", "host", "environment")}
_TAGS: Schema = {
    "type": "object",
    "maxProperties": MAX_TAGS,
    "propertyNames": _text(MAX_TAG_KEY, 1),
    "additionalProperties": _text(MAX_TAG_VALUE),
}
_KEPT = {"payload": {"type": "object"}, **_LABELS, "tags": _TAGS}
_CLOSE = {"finishedAt": _TIME, "summary": _text(ingest.MAX_SUMMARY), "output": _TEXT, **_KEPT}
_FAIL = {**_CLOSE, "summary": _text(ingest.MAX_SUMMARY, 1), "exitCode": {"type": "integer"}}
_PING = _object({"occurredAt": _TIME, "payload": {"type": "object"}})
_PINGED = _object(
    {
        "ok": _SWITCH,
        "monitor": _object({"id": _ID, "status": _TEXT}),
        "heartbeat": _object({"id": _ID, "occurredAt": _TIME}),
    }
)

INGEST: dict[str, tuple[str, str, Schema, Schema]] = {
    "/v1/monitors/{monitor_id}/ping": ("ping", "Record a heartbeat or fresh output.", _PING, _PINGED),
    "/v1/runs/start": (
        "start",
        "Open a run, or return the one that this start opened before.",
        _object(
            {"monitorId": _ID, "externalRunId": _text(ingest.MAX_LABEL, 1), "startedAt": _TIME, **_KEPT},
            "monitorId",
            "externalRunId",
        ),
        _object(
            {
                "monitor": _object({"id": _ID}),
                "run": _object(dict.fromkeys(("id", "externalRunId", "startedAt"), _TEXT)),
            }
        ),
    ),
    "/v1/runs/{run_id}/success": (
        "success",
        "Close a run as successful.",
        _object(_CLOSE),
        _object(
            {"run": _object({"id": _ID, "status": _TEXT, "finishedAt": _TIME, "durationSeconds": {"type": "integer"}})}
        ),
    ),
    "/v1/runs/{run_id}/fail": (
        "fail",
        "Close a run as failed.",
        _object(_FAIL, "summary"),
        _object(
            {"run": _object({"id": _ID, "status": _TEXT, "finishedAt": _TIME}), "monitor": _object({"status": _TEXT})}
        ),
    ),
    "/v1/workspaces/{workspace_id}/monitors/{id_or_slug}/ping": (
        "workspace_ping",
        "Record a heartbeat or fresh output, by the token of the workspace.",
        _PING,
        _PINGED,
    ),
}
"""The routes of the ingest API (docs/api.md): a name, what each does, takes and answers."""

_DEFINITION: dict[str, Schema] = {
    "name": _text(monitors.MAX_NAME, 1),
    "slug": _text(MAX_SLUG, 1),
    "mode": {"enum": [mode.value for mode in Mode]},
    "schedule": {
        "oneOf": [
            _object({"every": _DURATION}, "every"),
            _object({"cron": _TEXT, "timezone": _TEXT}, "cron"),
            _object({"calendar": _TEXT, "timezone": _TEXT}, "calendar"),
            {"type": "null"},
        ]
    },
    "graceSeconds": _DURATION,
    "maxRuntimeSeconds": _DURATION,
    "expectedFreshnessSeconds": _DURATION,
    "failuresBeforeIncident": {"type": "integer", "minimum": 1, "maximum": monitors.MAX_TOLERANCE},
    "reminderSeconds": _DURATION,
    "promise": _text(monitors.MAX_PROMISE),
    "owner": _text(monitors.MAX_LABEL),
    "runbook": _text(MAX_URL),
    "tags": _TAGS,
    "environment": _text(monitors.MAX_LABEL),
    "channels": {"type": ["array", "null"], "items": _TEXT, "maxItems": monitors.MAX_CHANNELS},
}
_WANTS: dict[str, Schema] = {
    "kinds": {"type": "array", "items": {"enum": [kind.value for kind in Kind]}},
    "notify": {"type": "array", "items": {"enum": ["opened", "resolved"]}},
    "delaySeconds": _DURATION,
}
_SECRET: Schema = {
    "description": "what a webhook is signed with: whsec_ and 24 to 64 bytes in base64; without one it gets a new one",
    "type": "string",
    "pattern": "^whsec_[A-Za-z0-9+/]{32,86}={0,2}$",
}
_ROLE: Schema = {"enum": list(ROLES)}
_PASSWORD = _text(MAX_PASSWORD, LEAST_PASSWORD)
_REASON = _object({"reason": _text(MAX_REASON)})

_BODIES: dict[str, Schema] = {
    "workspaces.create": _object({"name": _TEXT, "slug": _TEXT}, "name"),
    "workspaces.edit": _object(
        {
            "name": _TEXT,
            **{
                key: {"type": "integer", "minimum": least, "maximum": most}
                for key, (_, least, most) in RETENTION.items()
            },
        }
    ),
    "workspaces.create_user": _object({"email": _TEXT, "name": _TEXT, "role": _ROLE, "password": _PASSWORD}, "email"),
    "workspaces.set_password": _object({"password": _PASSWORD}, "password"),
    "workspaces.set_role": _object({"role": _ROLE}, "role"),
    "workspaces.add_member": _object({"email": _TEXT, "role": _ROLE}, "email"),
    "monitors.create": _object(_DEFINITION, "name", "mode"),
    "monitors.edit": _object(_DEFINITION),
    "monitors.tag": _object({"tags": _TAGS}, "tags"),
    "monitors.pause": _object({"for": _DURATION, "until": _TIME, "untilHealthy": _SWITCH}),
    "channels.add": _object(
        {
            "type": {"enum": list(CHANNEL_TYPES)},
            "name": _TEXT,
            "to": {"type": "array", "items": _TEXT},
            "url": _text(MAX_URL),
            "headers": {"type": "object", "additionalProperties": _TEXT},
            "secret": _SECRET,
            **_WANTS,
        },
        "type",
        "name",
    ),
    "channels.edit": _object(_WANTS),
    "drills.run": _object({"kind": {"enum": [kind.value for kind in DrillKind]}}, "kind"),
    "incidents.acknowledge": _REASON,
    "incidents.resolve": _REASON,
    "incidents.note": _object({"text": _text(MAX_NOTE, 1)}, "text"),
}
"""What a change takes, by its operation."""

_SIGNALS: dict[str, Schema] = {
    "monitor": _TEXT,
    "before": _TEXT,
    "limit": {"type": "integer", "minimum": 1, "maximum": MOST_SIGNALS},
}
_QUERIES: dict[str, dict[str, Schema]] = {
    "monitors.monitors": {"archived": {"enum": ["true"]}},
    "monitors.snippet": {"kind": _TEXT},
    "advice.show": dict.fromkeys(("interval", "grace", "freshness", "limit"), _DURATION),
    "audit.entries": {
        "actor": _TEXT,
        "of": {"enum": list(KINDS)},
        "before": _TEXT,
        "limit": {"type": "integer", "minimum": 1, "maximum": MOST_LISTED},
    },
    "runs.heartbeats": _SIGNALS,
    "runs.runs": _SIGNALS,
    "incidents.incidents": {
        "monitor": _TEXT,
        "state": {"enum": list(STATES)},
        "limit": {"type": "integer", "minimum": 1},
    },
}


def _ingest(path: str, name: str, summary: str, body: Schema, reply: Schema) -> Schema:
    refusals = {
        "400": "a field or the body is wrong",
        "401": "the key is wrong",
        "404": "what it is about is unknown or archived",
        "413": "the body is too large",
        "429": "a limit is used up; wait for Retry-After",
        "503": "it could not be made durable; wait for Retry-After",
    }
    if "{run_id}" in path:
        refusals["409"] = "the run has ended in the other sense"
    return {
        "operationId": f"ingest.{name}",
        "summary": summary,
        "security": [{"ingestKey": []}],
        "parameters": _named(path),
        "requestBody": {"content": {"application/json": {"schema": body}}, "required": "required" in body},
        "responses": {"202": _answer("It is on disk.", reply)}
        | {status: _answer(f"Nothing was recorded: {why}.", _ERROR) for status, why in sorted(refusals.items())},
    }


def _operator(method: str, path: str, role: str, name: str, summary: str) -> Schema:
    parameters = _named(path) + [
        {"name": key, "in": "query", "schema": schema} for key, schema in _QUERIES.get(name, {}).items()
    ]
    if "{workspace}" not in path:
        about = "A workspace, by id or slug; else it is the first one that is yours."
        parameters.append({"name": "workspace", "in": "query", "description": about, "schema": _TEXT})
    changes = method != "GET"
    described: Schema = {
        "operationId": name,
        "summary": summary,
        "description": f"For members who are {role} at least, and over the Unix socket in the data directory.",
        "security": [{}, {"session": [], **({"csrfToken": []} if changes else {})}],
        "parameters": parameters,
        "responses": {"200": _answer("Done.", {"type": "object"}), "default": _answer("It was refused.", _ERROR)},
    }
    if name in _BODIES:
        described["requestBody"] = {"content": {"application/json": {"schema": _BODIES[name]}}}
    return described


_ERROR: Schema = {"$ref": "#/components/schemas/Error"}


def _named(path: str) -> list[Schema]:
    return [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in re.findall(r"\{(\w+)\}", path)]


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
