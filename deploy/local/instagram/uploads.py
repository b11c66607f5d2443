"""Attachments, which are uploaded first and sent by id later."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from deploy.local.instagram.records import UploadRecord
from deploy.local.instagram.users import User

_FIRST_ID = 1_000_000_000_000_001


@dataclass(frozen=True)
class Upload:
    """One uploaded attachment."""

    id: int
    owner: User
    content: bytes


class Uploads:
    """Every attachment that was uploaded."""

    def __init__(self) -> None:
        self._uploads: list[Upload] = []

    def store(self, owner: User, content: bytes) -> Upload:
        """Store an attachment under a new id."""
        upload = Upload(_FIRST_ID + len(self._uploads), owner, content)
        self._uploads.append(upload)
        return upload

    def has(self, owner: User, upload_id: str) -> bool:
        """Whether a user has uploaded an attachment with this id."""
        return any(str(entry.id) == upload_id and entry.owner is owner for entry in self._uploads)

    def records(self) -> list[UploadRecord]:
        """Every attachment, as the control interface shows it."""
        return [
            {
                "media_id": str(entry.id),
                "owner": entry.owner.username,
                "content": base64.b64encode(entry.content).decode(),
            }
            for entry in self._uploads
        ]
