"""What is told of a profile and of a post: these fields, whatever Instagram shows besides.

`actors/instagram/serializers.py` fills them in; what Instagram does not tell is null.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Count = Annotated[int | None, Field(description="null where Instagram does not tell")]
_Link = Annotated[str | None, Field(description="Instagram's own; it works for some days")]


class UserView(BaseModel):
    """A profile."""

    model_config = ConfigDict(extra="forbid")

    pk: str = Field(description="The user's number, which outlives a change of name")
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
    """Whose post it is."""

    model_config = ConfigDict(extra="forbid")

    pk: str
    username: str | None


class PostView(BaseModel):
    """A post."""

    model_config = ConfigDict(extra="forbid")

    pk: str
    id: str = Field(description="The media id: pk, `_` and the owner's pk")
    code: str = Field(description="The shortcode, as in instagram.com/p/CODE/")
    kind: Literal["photo", "video", "reel", "album", "other"]
    taken_at: str | None = Field(description="RFC 3339, UTC")
    caption: str
    like_count: _Count
    comment_count: _Count
    view_count: _Count
    owner: OwnerView
    thumbnail_url: _Link
