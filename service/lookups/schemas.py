"""The profile and post fields that the API returns.

`actors/instagram/serializers.py` fills them in; fields that Instagram does not provide are null.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Count = Annotated[int | None, Field(description="null if Instagram does not provide it")]
_Link = Annotated[str | None, Field(description="URL on Instagram; valid for some days")]


class UserView(BaseModel):
    """A profile."""

    model_config = ConfigDict(extra="forbid")

    pk: str = Field(description="The user's id, which does not change with the username")
    username: str
    full_name: str
    biography: str
    is_private: bool
    is_verified: bool
    follower_count: _Count
    following_count: _Count
    media_count: _Count
    profile_pic_url: _Link


class OwnerView(BaseModel):
    """The owner of a post."""

    model_config = ConfigDict(extra="forbid")

    pk: str
    username: str | None


class PostView(BaseModel):
    """A post."""

    model_config = ConfigDict(extra="forbid")

    pk: str
    id: str = Field(
        description="The media id: pk, `_` and the owner's pk; the pk alone without an owner"
    )
    code: str = Field(description="The shortcode, as in instagram.com/p/CODE/")
    kind: Literal["photo", "video", "reel", "album", "other"]
    taken_at: str | None = Field(description="RFC 3339, UTC")
    caption: str
    like_count: _Count
    comment_count: _Count
    view_count: _Count
    owner: Annotated[OwnerView | None, Field(description="null if Instagram names none")]
    thumbnail_url: _Link
