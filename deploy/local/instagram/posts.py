"""Posts and the comments under them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from deploy.local.instagram.clock import Clock
from deploy.local.instagram.comment_settings import Audience
from deploy.local.instagram.records import CommentRecord
from deploy.local.instagram.users import User

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_FIRST_COMMENT_PK = 18_000_000_000_000_000


@dataclass(eq=False)
class Post:
    """A photo on a profile.

    Parameters:
        comments_disabled: whether a comment is answered with `comments_disabled` in a success.
        comments: who may comment, a key of `COMMENT_SETTINGS`.
        shape: the fields it is shown with, a key of `POST_SHAPES`.
        taken_at: Unix time in seconds.
    """

    pk: int
    owner: User
    caption: str = ""
    comments_disabled: bool = False
    comments: str = "open"
    shape: str = "usual"
    taken_at: int = 1_760_000_000

    @property
    def id(self) -> str:
        """Instagram's media id: the post's pk and its owner's pk."""
        return f"{self.pk}_{self.owner.pk}"

    @property
    def code(self) -> str:
        """The shortcode in the post's URL."""
        return shortcode(self.pk)


@dataclass(frozen=True)
class Comment:
    """A stored comment.

    Parameters:
        text: as stored.
        sent_text: as sent.
        true_at: its time by this machine's clock, in seconds of Unix time.
        audience: who sees it.
    """

    pk: int
    post: Post
    user: User
    text: str
    sent_text: str
    idempotence_token: str
    true_at: float
    clock: Clock
    audience: Audience = "everyone"

    @property
    def stored_at(self) -> float:
        """When it was stored, by Instagram's clock."""
        return self.clock.shown(self.true_at)

    def is_shown_to(self, viewer: User) -> bool:
        """Whether a user sees it under its post."""
        return self.audience == "everyone" or viewer.pk == self.user.pk


@dataclass(frozen=True)
class CommentDraft:
    """A comment to be stored; fields as `Comment`."""

    text: str
    sent_text: str
    idempotence_token: str
    audience: Audience = "everyone"


class Posts:
    """Every post and every comment.

    Parameters:
        clock: dates the comments.
        dedupe: whether a comment with an idempotence token that its user has used is not stored.
    """

    def __init__(self, clock: Clock, *, dedupe: bool) -> None:
        self._clock = clock
        self._dedupe = dedupe
        self._posts: dict[int, Post] = {}
        self._by_post: dict[int, list[Comment]] = {}
        self._by_token: dict[tuple[int, str], Comment] = {}
        self.comments: list[Comment] = []

    def add(self, post: Post) -> Post:
        """Add or replace a post."""
        self._posts[post.pk] = post
        return post

    def find(self, media_id: str) -> Post | None:
        """The post with this pk or media id."""
        pk = media_id.partition("_")[0]
        return self._posts.get(int(pk)) if pk.isdigit() else None

    def count_of(self, user: User) -> int:
        """How many posts a user has."""
        return sum(post.owner.pk == user.pk for post in self._posts.values())

    def comment(self, user: User, post: Post, draft: CommentDraft) -> Comment:
        """Store a comment; with dedupe, return the one already stored with its token."""
        key = (user.pk, draft.idempotence_token)
        if self._dedupe and key in self._by_token:
            return self._by_token[key]
        comment = Comment(
            _FIRST_COMMENT_PK + len(self.comments) + 1,
            post,
            user,
            draft.text,
            draft.sent_text,
            draft.idempotence_token,
            time.time(),
            self._clock,
            draft.audience,
        )
        self._by_post.setdefault(post.pk, []).append(comment)
        self.comments.append(comment)
        self._by_token[key] = comment
        return comment

    def comments_under(self, post: Post, viewer: User) -> list[Comment]:
        """The comments under a post that a user sees, in the order they were stored."""
        return [each for each in self._by_post.get(post.pk, []) if each.is_shown_to(viewer)]

    def records(self) -> list[CommentRecord]:
        """Every comment, as the control interface shows it."""
        return [_record(comment) for comment in self.comments]


def _record(comment: Comment) -> CommentRecord:
    return {
        "pk": str(comment.pk),
        "media_id": comment.post.id,
        "code": comment.post.code,
        "username": comment.user.username,
        "user_pk": str(comment.user.pk),
        "text": comment.text,
        "sent_text": comment.sent_text,
        "audience": comment.audience,
        "idempotence_token": comment.idempotence_token,
        "stored_at": comment.stored_at,
    }


def shortcode(pk: int) -> str:
    """Encode a media pk in Instagram's base 64 alphabet, most significant digit first."""
    digits = ""
    while pk:
        pk, digit = divmod(pk, 64)
        digits = _ALPHABET[digit] + digits
    return digits or _ALPHABET[0]
