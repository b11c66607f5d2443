"""What a rendering may cost, and what an absurd one says."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

import pytest

from service.templates.templates import BadTemplate, Condition, Template, TemplateFailed

ROW: dict[str, Any] = {}
ROW["a"] = ROW

OBJECT: dict[str, Any] = {
    "name": "Jenny",
    "many": list(range(20_000)),
    "same": list(range(20_000)),
    "long": "x y " * 22_000,
    "formats": "%s" * 20_000,
    "digits": "f" * 90_000,
    "rows": [ROW] * 20_000,
    "number": 5,
}
VARIABLES = {"event": {}, "object": OBJECT}
MAPPED = "{% set rows = rows | map(attribute='a') %}" * 200
DOUBLED = "".join(f"{{% set {name} = [{name}, {name}] %}}" for name in "ab") * 60


@pytest.fixture
def small_heap() -> Iterator[None]:
    """Garbage collection does not walk what other tests have left: that takes half a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(1000) %}{{ object.long | title | length }}{% endfor %}",
        "{% for a in range(1000) %}{% if object.many == object.same %}{% endif %}{% endfor %}",
        "{% for a in range(1000) %}{{ object.long | int(0, 36) % 7 }}{% endfor %}",
        "{% for a in range(1000) %}{% if 'z' in object.long %}{% endif %}{% endfor %}" * 3,
        "{{ object.many | select('in', object.many) | list | length }}",
        "{{ object.many | map('replace', '1', object.long) | list | length }}",
        "{{ object.many | map('default', object.long) | join | length }}",
        "{{ object.many | map('string') | map('upper') | map('lower') | list | length }}" * 200,
        f"{{% set rows = object.rows %}}{MAPPED}{{{{ rows | list | length }}}}",
        "{{ object.many | sort | unique | list | sort | length }}" * 100,
        "{{ object.formats | format(*object.many) }}",
        "{{ object.digits | int(0, 16) // (object.digits | int(0, 16)) }}",
        f"{{% set a = [1] %}}{{% set b = [1] %}}{DOUBLED}{{{{ a == b }}}}",
        "{% set a = (1,) %}" + "{% set a = (a, a) %}" * 60 + "{{ {a: 1} }}",
    ],
)
@pytest.mark.usefixtures("small_heap")
def test_a_costly_rendering_is_stopped(source: str) -> None:
    template = Template(source)
    started = time.thread_time()

    with pytest.raises(TemplateFailed):
        template.render(VARIABLES)

    assert time.thread_time() - started < 0.5


def test_a_costly_condition_is_stopped() -> None:
    with pytest.raises(TemplateFailed, match="takes too long on this data"):
        Condition("object.many | select('in', object.many) | list | length > 1").holds(VARIABLES)


def test_a_long_event_is_no_reason_to_stop() -> None:
    template = Template("{{ object.many[:2000] | sort | unique | list | length }}")

    assert template.render(VARIABLES) == "2000"


@pytest.mark.parametrize(
    "expression",
    [
        *("object.name | truncate(-1)", "object.name | truncate(none)"),
        *("object.name | truncate('x')", "object.name | truncate(3, end=object.long)"),
        *("object.name | truncate(2.5)", "object.name | replace('a')"),
        *("object.name | replace('a', 'b', 10 ** 30)", "object.name | trim(5)"),
        *("object.name | title(1)", "object.name | round", "object.name | join(5)"),
        *("object.many | dictsort", "object.name | upper(1, 2)", "object.number | abs(2)"),
        *("object.many | map('nosuch') | list", "object.many | select('nosuch') | list"),
        *("object.number | round('x')", "object.name | urlencode(1)"),
    ],
)
def test_a_filter_with_absurd_arguments_fails_with_its_name(expression: str) -> None:
    with pytest.raises(TemplateFailed) as error:
        Template(f"{{{{ {expression} }}}}").render(VARIABLES)

    name = str(error.value).partition(":")[0]
    assert f"| {name}" in expression
    assert "do not fit" in str(error.value)


@pytest.mark.parametrize(
    "source",
    [
        "{{ object.name[::0] }}",
        "{{ object.number // 0 }}",
        "{{ 2.0 ** 9999 }}",
        "{{ '%d' % object.name }}",
        "{{ range('a') }}",
        "{{ range(1, 2, 0) }}",
        "{{ object.name.split('') }}",
        "{{ object.name.count() }}",
        "{{ object.number() }}",
        "{{ object.many | map }}",
        "{{ object.name | int(base=99) + object.name }}",
    ],
)
def test_whatever_goes_wrong_is_a_failure_of_the_template(source: str) -> None:
    with pytest.raises(TemplateFailed):
        Template(source).render(VARIABLES)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(2) %}" * 25 + "{% endfor %}" * 25,
        "{% if 1 %}" * 120 + "{% endif %}" * 120,
        "{{ 'a'" + " | upper" * 3000 + " }}",
        "{{ 1" + " + 1" * 3000 + " }}",
        "{{ object" + ".a" * 5000 + " }}",
        "{{ " + "9" * 5000 + " }}",
        "{{ '\\N{nothing}' }}",
    ],
)
def test_a_template_that_python_cannot_compile_is_rejected(source: str) -> None:
    with pytest.raises(BadTemplate):
        Template(source)
