"""Keys of Stripe's objects that are null in common shapes of an event, where a rule relies on them.

From the API reference's descriptions of the objects, and what their fields are in each mode
(https://docs.stripe.com/api/checkout/sessions/object, and likewise invoices, charges,
payment_intents, customers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import jinja2
from jinja2 import nodes

_SESSION: Final = {
    "payment_intent": "for subscriptions, free orders and trials",
    "invoice": "for payments without an invoice",
    "subscription": "for one-time payments",
    "setup_intent": "unless only a card is saved",
    "customer": "for guests",
    "customer_email": "unless you set it",
    "client_reference_id": "unless you set it",
    "payment_link": "unless a payment link was used",
    "url": "as soon as the session is completed",
    "consent": "unless you ask for it",
    "shipping_details": "unless you ask for it, and missing since API version 2025-03-31",
    "customer_details.name": "if Checkout does not ask for it",
    "customer_details.phone": "if Checkout does not ask for it",
    "currency": "when only a card is saved",
    "amount_total": "when only a card is saved",
}
_INVOICE: Final = {
    "payment_intent": "for free invoices, and missing since API version 2025-03-31",
    "charge": "for free invoices, and missing since API version 2025-03-31",
    "subscription": "for one-off invoices, and missing since API version 2025-03-31",
    "customer_email": "if the customer has none",
    "customer_name": "if the customer has none",
    "customer_phone": "if the customer has none",
    "hosted_invoice_url": "for drafts",
}
_CHARGE: Final = {
    "customer": "for guests",
    "invoice": "for payments without an invoice, and missing since API version 2025-03-31",
    "payment_intent": "if the charge was made without one",
    "receipt_email": "unless you set it",
    "receipt_url": "for some payment methods",
    "billing_details.name": "if it was not asked for",
    "billing_details.email": "if it was not asked for",
    "billing_details.phone": "if it was not asked for",
}
_PAYMENT_INTENT: Final = {
    "customer": "for guests",
    "invoice": "for payments without an invoice, and missing since API version 2025-03-31",
    "receipt_email": "unless you set it",
    "latest_charge": "before the first attempt",
    "description": "unless you set it",
}
_CUSTOMER: Final = {
    "email": "if the customer has none",
    "name": "if the customer has none",
    "phone": "if the customer has none",
}

_TYPES: Final[Mapping[Sequence[str], Mapping[str, str]]] = {
    ("checkout.session.completed", "checkout.session.async_payment_succeeded"): _SESSION,
    ("invoice.paid", "invoice.payment_succeeded", "invoice.finalized"): _INVOICE,
    ("charge.succeeded", "charge.refunded", "charge.captured"): _CHARGE,
    ("payment_intent.succeeded", "payment_intent.payment_failed"): _PAYMENT_INTENT,
    ("customer.created", "customer.updated"): _CUSTOMER,
}


class NullableKey(NamedTuple):
    """A key that a template relies on although it may be null.

    Parameters:
      path: As in the template, after `object.`.
      when: When it is null, in words.
    """

    path: str
    when: str


def find_nullable_keys(matches: Callable[[str], bool], template: str) -> Iterator[NullableKey]:
    """Find the keys of Stripe's objects that a template needs, though they are null at times.

    Parameters:
      matches: Whether the rule is for a type.
      template: A valid template; a condition as `{% if ... %}{% endif %}`.
    """
    needed = set(_needed(jinja2.Environment(autoescape=True).parse(template)))
    for types, keys in _TYPES.items():
        if any(map(matches, types)):
            found = (key for key in sorted(keys) if any(_leads_to(key, path) for path in needed))
            yield from (NullableKey(key, keys[key]) for key in found)


def _leads_to(key: str, path: str) -> bool:
    """Whether a path goes through a key, as `customer.email` and `customer.title` do."""
    return path == key or path.startswith(f"{key}.")


def _needed(node: nodes.Node) -> Iterator[str]:
    """The paths below `object` whose null would fail a template that writes this node."""
    path = _path(node)
    if path is not None:
        yield path
    elif isinstance(node, nodes.If | nodes.CondExpr):
        yield from _asked(node.test)
        for branch in _branches(node):
            yield from _unless_asked(node.test, _needed(branch))
    elif isinstance(node, nodes.Or):
        yield from _asked(node.left)
        yield from _needed(node.right)
    elif isinstance(node, nodes.And):
        yield from _needed(node.left)
        yield from _unless_asked(node.left, _needed(node.right))
    elif isinstance(node, nodes.Filter) and node.name in ("default", "d"):
        yield from (path for child in node.args for path in _needed(child))
    elif isinstance(node, nodes.Test | nodes.Compare | nodes.Not):
        yield from _asked(node)
    else:
        yield from (path for child in node.iter_child_nodes() for path in _needed(child))


def _asked(node: nodes.Node) -> Iterator[str]:
    """The paths whose null would fail a condition: not that of the value which it is about."""
    path = _path(node)
    if path is not None:
        yield path.rpartition(".")[0]
    elif isinstance(node, nodes.And | nodes.Or):
        yield from _asked(node.left)
        yield from _unless_asked(node.left, _asked(node.right))
    elif isinstance(node, nodes.Compare):
        yield from _asked(node.expr)
        for operand in node.ops:
            # Not those of `<` and `>`: null is no amount, so that no job is what the rule means.
            contains = operand.op in ("in", "notin")
            yield from (_needed if contains else _asked)(operand.expr)
    elif isinstance(node, nodes.Not):
        yield from _asked(node.node)
    elif not isinstance(node, nodes.Test):
        yield from _needed(node)


def _unless_asked(test: nodes.Node, paths: Iterator[str]) -> Iterator[str]:
    named = set(_named(test))
    return (path for path in paths if not any(_leads_to(key, path) for key in named))


def _branches(node: nodes.If | nodes.CondExpr) -> Iterator[nodes.Node]:
    return (child for child in node.iter_child_nodes() if child is not node.test)


def _named(node: nodes.Node) -> Iterator[str]:
    path = _path(node)
    if path is not None:
        yield path
    else:
        yield from (path for child in node.iter_child_nodes() for path in _named(child))


def _path(node: nodes.Node) -> str | None:
    keys: list[str] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr):
            keys.insert(0, node.attr)
        elif isinstance(node.arg, nodes.Const):
            keys.insert(0, str(node.arg.value))
        else:
            return None
        node = node.node
    if not isinstance(node, nodes.Name):
        return None
    if node.name == "event" and keys[:2] == ["data", "object"]:
        return ".".join(keys[2:])
    return ".".join(keys) if node.name == "object" and keys else None
