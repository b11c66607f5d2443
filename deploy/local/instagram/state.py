"""The fake Instagram's state and its seed data.

Only synchronous functions on one event loop change it, so each request's changes are atomic.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from deploy.local.instagram.challenges import Challenges
from deploy.local.instagram.clock import Clock
from deploy.local.instagram.content_filters import ContentFilter
from deploy.local.instagram.login_refusals import LoginRefusals
from deploy.local.instagram.messages import Messages
from deploy.local.instagram.passwords import PasswordKey
from deploy.local.instagram.posts import Post, Posts
from deploy.local.instagram.refusal import RefusalShape
from deploy.local.instagram.relations import Relations
from deploy.local.instagram.sessions import Sessions
from deploy.local.instagram.stored_text import TextStyle
from deploy.local.instagram.uploads import Uploads
from deploy.local.instagram.users import Account, Profile, Users

SHOP_PASSWORD = "shop-password"
SHOP_POST_PK = 3_700_000_000_000_000_001


@dataclass(frozen=True)
class Options:
    """How the fake Instagram behaves.

    Parameters:
        open_world: every valid username exists, except those that start with `missing`.
        dedupe: a repeated `client_context` or idempotence token is not stored again.
    """

    open_world: bool = False
    dedupe: bool = False


@dataclass
class Behavior:
    """What can be changed while it runs.

    Parameters:
        text_style: how texts are stored.
        text_styles: the same for some accounts, by username.
        refusal_shape: the shape of a refused DM.
        one_session: whether a new login ends the account's other sessions.
        shadow_limited: the refusal's name by username, for accounts that find nothing any more;
            empty for each call's own "not found".
    """

    text_style: TextStyle = "folded"
    text_styles: dict[str, TextStyle] = field(default_factory=dict)
    refusal_shape: RefusalShape = "plain"
    one_session: bool = False
    shadow_limited: dict[str, str] = field(default_factory=dict)

    def text_style_of(self, username: str) -> TextStyle:
        """How this account's texts are stored."""
        return self.text_styles.get(username, self.text_style)


class State:
    """All data of the fake Instagram, seeded with one shop and a few users.

    Parameters:
        password_key: the key that clients encrypt passwords with.
    """

    def __init__(self, options: Options, password_key: PasswordKey) -> None:
        self.password_key = password_key
        self.users = Users(open_world=options.open_world)
        self.clock = Clock()
        self.posts = Posts(self.clock, dedupe=options.dedupe)
        self.messages = Messages(self.clock, dedupe=options.dedupe)
        self.sessions = Sessions()
        self.uploads = Uploads()
        self.behavior = Behavior()
        self.relations = Relations()
        self.content_filters: list[ContentFilter] = []
        self.challenges = Challenges()
        self.login_refusals = LoginRefusals()
        _seed(self)

    def account(self, username: str) -> Account | None:
        """The account with this username."""
        return self.users.accounts.get(username)


def _seed(state: State) -> None:
    users = state.users
    users.add("shop", Profile("The Shop", is_business=True, followers=450, following=30))
    users.add("jenny.rosen", Profile("Jenny Rosen", followers=450, following=30))
    users.add("some.handle", Profile("Some Handle"))
    users.add("private.person", Profile("Private Person", is_private=True, followers=12))
    users.add("no.requests", Profile("No Requests", takes_requests=False))
    users.add("popular", Profile("Popular", is_verified=True, followers=1_000_000, following=3))
    shop = users.add_account("shop", SHOP_PASSWORD)
    state.posts.add(Post(SHOP_POST_PK, shop.user, caption="New in the shop"))
    state.posts.add(
        Post(SHOP_POST_PK + 1, shop.user, caption="No comments", comments_disabled=True)
    )
