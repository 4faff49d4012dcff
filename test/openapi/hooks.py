"""What the rules of the API say and JSON Schema cannot: requests that are made from the OpenAPI document keep to it too."""

import re

import schemathesis

TAGS = re.compile(r'\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*"){0,99}')


@schemathesis.hook
def before_call(context, case, kwargs):
    """Waiting for a proxy that there is not would end with 504; what is meant to be wrong stays so."""
    query = case.query
    if isinstance(query, dict) and "wait" in query and is_valid_wait(query["wait"]):
        query["wait"] = "100%"
    # What has no end is no request any more: 431, whatever it asks for.
    for selector in ("labelSelector", "fieldSelector"):
        if isinstance(query, dict) and isinstance(query.get(selector), str) and len(query[selector]) > 1000:
            query[selector] = "x" * 1001
    if case.meta is not None and case.meta.generation.mode.is_negative:
        return
    if isinstance(query, dict):
        if "dryRun" in query:
            query.pop("wait", None)
        # How to wait needs a wait, and a cursor is what an answer gave.
        if "wait" not in query:
            query.pop("timeout", None)
            query.pop("lost", None)
        # Selectors are a language of their own, which a schema does not have.
        for parameter in ("cursor", "labelSelector", "fieldSelector"):
            query.pop(parameter, None)
    # The boundaries that schemathesis 4.32 tries for headers go by their length and forget their pattern.
    for header in ("If-Match", "If-None-Match"):
        tags = (case.headers or {}).get(header)
        if tags is not None and not TAGS.fullmatch(str(tags)):
            del case.headers[header]
    if isinstance(case.body, dict) and case.path.endswith("/change-sets"):
        keep_rules_of_set(case.body)
    elif isinstance(case.body, dict):
        for field in ("name", "namespace", "revision"):
            (case.body.get("metadata") or {}).pop(field, None)
        keep_rules(case.body)


def is_valid_wait(value):
    return isinstance(value, str) and value.rstrip("%").isdigit()


def keep_rules(body):
    """A list names a thing once, and a Deny has a rule."""
    spec = body.get("spec")
    if isinstance(spec, dict):
        for field, key in (("backends", "service"), ("ports", "port")):
            if isinstance(spec.get(field), list):
                spec[field] = once(spec[field], key)
        if isinstance(spec.get("ports"), list):
            tell_apart(spec["ports"])
        if spec.get("action") == "Deny" and spec.get("rules") == []:
            spec["action"] = "Allow"


def keep_rules_of_set(body):
    """A set names an object once, and has something in it; the settings have one name, and nobody has that of the server."""
    kept = {}
    for document in body.get("documents") or []:
        metadata = document["metadata"]
        if document["kind"] == "MeshSettings":
            metadata["name"] = "mesh"
            metadata.pop("namespace", None)
        if metadata.get("namespace") == "sluice":
            metadata["namespace"] = "shop"
        metadata.pop("revision", None)
        keep_rules(document)
        kept.setdefault((document["kind"], metadata.get("namespace"), metadata["name"]), document)
    body["documents"] = list(kept.values())
    body["remove"] = [
        ref
        for ref in body.get("remove") or []
        if ref["kind"] != "MeshSettings" and (ref["kind"], ref["namespace"], ref["name"]) not in kept
    ]
    body["remove"] = once(body["remove"], "kind", "namespace", "name")
    if not body["documents"] and not body["remove"]:
        body["owner"] = "somebody"


def tell_apart(ports):
    """No two ports bear one name, or are reached at one number."""
    for field, taken in (("name", set()), ("sidecarPort", {port["port"] for port in ports})):
        for port in ports:
            if field in port and port[field] in taken:
                del port[field]
            elif field in port:
                taken.add(port[field])


def once(items, *keys):
    """The first item of each name."""
    kept = {}
    for item in items:
        kept.setdefault(tuple(item[key] for key in keys), item)
    return list(kept.values())
