"""Leaves out of a subscription what its subscriber may not see: jobs of others, and people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

from service.credentials.api_keys import ApiKey
from service.jobs.job_accounts import JobAccounts
from service.jobs.masking import mask
from service.jobs.timeline import LiveUpdate, dumps
from service.live.broadcaster import Subscriber
from service.live.subscriptions import Subscription, UpdateBatches

#: Jobs whose account is remembered: it never changes.
_MOST_KNOWN: Final = 2048


class NarrowedSubscription:
    """A subscription without updates of jobs that the key may not see.

    A batch of which nothing is left is a keepalive.

    Parameters:
      subscription: Yields all updates.
      key: The subscriber's.
      accounts: Reads the accounts of jobs.
      masks: Whether what shows a person is masked.
    """

    def __init__(
        self, subscription: Subscription, key: ApiKey, accounts: JobAccounts, *, masks: bool
    ) -> None:
        self._subscription = subscription
        self._key = key
        self._accounts = accounts
        self._masks = masks
        self._known: dict[str, str] = {}

    async def stream(self, subscriber: Subscriber) -> UpdateBatches:
        async with aclosing(self._subscription.stream(subscriber)) as batches:
            async for batch in batches:
                yield await self._narrow(batch)

    async def _narrow(self, batch: Sequence[LiveUpdate]) -> Sequence[LiveUpdate]:
        updates = [(update, json.loads(update.data)) for update in batch]
        if self._key.accounts is not None:
            await self._learn({data["id"] for _, data in updates if "id" in data})
        return [self._shown(update, data) for update, data in updates if self._is_own(data)]

    async def _learn(self, job_ids: set[str]) -> None:
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known |= await self._accounts.of(job_ids - self._known.keys())

    def _is_own(self, data: dict[str, Any]) -> bool:
        # Updates without a job say where the stream is.
        return "id" not in data or self._key.sees(self._known.get(data["id"], ""))

    def _shown(self, update: LiveUpdate, data: dict[str, Any]) -> LiveUpdate:
        return replace(update, data=dumps(mask(data))) if self._masks else update
