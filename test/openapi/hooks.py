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
    if case.meta is not None and case.meta.generation.mode.is_negative:
        return
    if isinstance(query, dict):
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
    if isinstance(case.body, dict):
        keep_rules(case.body)


def is_valid_wait(value):
    return isinstance(value, str) and value.rstrip("%").isdigit()


def keep_rules(body):
    """A document is that of its path, a list names a thing once, and a Deny has a rule."""
    if isinstance(body.get("metadata"), dict):
        for field in ("name", "namespace", "revision"):
            body["metadata"].pop(field, None)
    spec = body.get("spec")
    if isinstance(spec, dict):
        for field, key in (("backends", "service"), ("ports", "port")):
            if isinstance(spec.get(field), list):
                spec[field] = once(spec[field], key)
        if isinstance(spec.get("ports"), list):
            tell_apart(spec["ports"])
        if spec.get("action") == "Deny" and spec.get("rules") == []:
            spec["action"] = "Allow"


def tell_apart(ports):
    """No two ports bear one name, or are reached at one number."""
    for field, taken in (("name", set()), ("sidecarPort", {port["port"] for port in ports})):
        for port in ports:
            if field in port and port[field] in taken:
                del port[field]
            elif field in port:
                taken.add(port[field])


def once(items, key):
    """The first item of each name."""
    kept = {}
    for item in items:
        kept.setdefault(item[key], item)
    return list(kept.values())
