"""One table per Instagram account."""

from __future__ import annotations

import pytest

from service.config.unique_usernames import check_usernames


def test_different_accounts_stand_side_by_side() -> None:
    check_usernames({"shop": "the.shop", "club": "the.club"})


@pytest.mark.parametrize("again", ["the.shop", "The.Shop", "@the.shop", " the.shop "])
def test_the_same_account_twice_is_refused_by_name(again: str) -> None:
    with pytest.raises(ValueError, match=r"accounts\.club\.username: accounts\.shop is the same"):
        check_usernames({"shop": "the.shop", "club": again})
