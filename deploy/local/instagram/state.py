"""The fake Instagram's state, and what it starts with.

All of it is changed by plain functions on one event loop: nothing is ever half done when the next
request is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy.local.instagram.clock import Clock
from deploy.local.instagram.messages import Messages
from deploy.local.instagram.passwords import PasswordKey
from deploy.local.instagram.posts import Post, Posts
from deploy.local.instagram.sessions import Sessions
from deploy.local.instagram.uploads import Uploads
from deploy.local.instagram.users import Account, Profile, Users

SHOP_PASSWORD = "shop-password"
SHOP_POST_PK = 3_700_000_000_000_000_001


@dataclass(frozen=True)
class Options:
    """How the world behaves.

    Parameters:
        open_world: every valid username exists, but for those that start with `missing`.
        dedupe: a repeated `client_context` or idempotence token is not stored again.
    """

    open_world: bool = False
    dedupe: bool = False


class State:
    """Everything the fake Instagram knows, seeded with one shop and a few people.

    Parameters:
        password_key: the key clients encrypt passwords with.
    """

    def __init__(self, options: Options, password_key: PasswordKey) -> None:
        self.password_key = password_key
        self.people = Users(open_world=options.open_world)
        self.clock = Clock()
        self.posts = Posts(self.clock, dedupe=options.dedupe)
        self.mail = Messages(self.clock, dedupe=options.dedupe)
        self.sessions = Sessions()
        self.uploads = Uploads()
        _seed(self)

    def account(self, username: str) -> Account | None:
        """The account that logs in under this name."""
        return self.people.accounts.get(username)


def _seed(world: State) -> None:
    people = world.people
    people.add("shop", Profile("The Shop", is_business=True, followers=450, following=30))
    people.add("jenny.rosen", Profile("Jenny Rosen", followers=450, following=30))
    people.add("some.handle", Profile("Some Handle"))
    people.add("private.person", Profile("Private Person", is_private=True, followers=12))
    people.add("no.requests", Profile("No Requests", takes_requests=False))
    people.add("popular", Profile("Popular", is_verified=True, followers=1_000_000, following=3))
    shop = people.add_account("shop", SHOP_PASSWORD)
    world.posts.add(Post(SHOP_POST_PK, shop.user, caption="New in the shop"))
    world.posts.add(
        Post(SHOP_POST_PK + 1, shop.user, caption="No comments", comments_disabled=True)
    )
